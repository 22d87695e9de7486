//! What the cluster knows of a node.

use k8s_openapi::api::core::v1::{Node, NodeAddress};

use super::{Cluster, Error, encoded};

impl Cluster {
    /// Why a node is not ready; None if it is, or if nobody tells us.
    pub async fn why_unready(&self, node: &str) -> Option<String> {
        let path = format!("/api/v1/nodes/{}", encoded(node));
        match self.get::<Node>(&path).await {
            Ok(node) => unready(&node),
            Err(error) if error.is_not_found() => {
                Some("the cluster has no such node any more".to_owned())
            }
            Err(_) => None,
        }
    }

    /// Where a node is, by each type of address that it has.
    ///
    /// # Errors
    /// The server's.
    pub async fn addresses(&self, node: &str) -> Result<Vec<NodeAddress>, Error> {
        let path = format!("/api/v1/nodes/{}", encoded(node));
        let node = self.get::<Node>(&path).await?;
        Ok(node.status.and_then(|s| s.addresses).unwrap_or_default())
    }
}

fn unready(node: &Node) -> Option<String> {
    let conditions = node.status.as_ref()?.conditions.iter().flatten();
    let ready = conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready")?;
    if ready.status == "True" {
        return None;
    }
    let words = [&ready.reason, &ready.message];
    let words: Vec<_> = words.into_iter().flatten().map(String::as_str).collect();
    Some(words.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_is_quoted() {
        let node = |status: &str| {
            let condition = serde_json::json!({
                "type": "Ready", "status": status, "reason": "R", "message": "kubelet stopped",
            });
            serde_json::from_value(serde_json::json!({"status": {"conditions": [condition]}}))
                .unwrap()
        };
        assert_eq!(
            unready(&node("Unknown")).as_deref(),
            Some("R: kubelet stopped")
        );
        assert_eq!(unready(&node("True")), None);
        assert_eq!(unready(&Node::default()), None);
    }
}
