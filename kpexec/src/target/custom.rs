//! The pods of what only the server knows: custom resources, by their scale.

use k8s_openapi::api::autoscaling::v1::Scale;

use super::selector::{self, Selected};
use super::{Error, Wanted};
use crate::cluster::{Cluster, encoded};

/// The pods of an object whose TYPE is `word`.
pub(super) async fn selected(
    cluster: &Cluster,
    wanted: &Wanted<'_>,
    word: &str,
) -> Result<Selected, Error> {
    let resource = cluster.resource(word).await?;
    let resource = resource.ok_or_else(|| Error::UnknownType(word.to_owned()))?;
    if !resource.has_scale {
        return Err(Error::NoScale(word.to_owned()));
    }
    let path = resource.path(&encoded(wanted.namespace));
    let path = format!("{path}/{}/scale", encoded(&wanted.named.name));
    let scale: Scale = cluster.get(&path).await?;
    let idle = scale
        .spec
        .and_then(|spec| selector::scaled_to_none(spec.replicas));
    let labels = scale.status.and_then(|status| status.selector);
    let labels = labels.filter(|text| !text.is_empty());
    let labels = labels.ok_or_else(|| Error::NoSelector(wanted.named.to_string()))?;
    Ok(Selected { labels, idle })
}
