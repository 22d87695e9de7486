//! Whether a container is where a request from elsewhere says it is.
//!
//! kpexec names a container's place in Kubernetes, which is what its user was allowed to enter, and
//! its ID. Only together they are believed: the runtime has to say the same of that ID.

use super::{Container, Error, Pod};
use crate::request::Expected;

/// Compares a container with what was asked for.
///
/// # Errors
/// [`Error::Elsewhere`] unless all agree; what a runtime does not know agrees with nothing.
pub fn check_place(container: &Container, expected: &Expected) -> Result<(), Error> {
    let agrees = |found: Option<&String>, wanted: &Option<String>| {
        wanted.is_none() || found == wanted.as_ref()
    };
    let same = container.pod.as_ref().is_some_and(|pod| {
        pod.namespace == expected.namespace
            && pod.name == expected.pod
            && agrees(pod.uid.as_ref(), &expected.uid)
            && agrees(pod.container.as_ref(), &expected.container)
    });
    // Users who run containers of their own can label them as they like.
    let of_the_node = container.owner == 0;
    if same && of_the_node && agrees(Some(&container.id), &expected.id) {
        return Ok(());
    }
    let found = match &container.pod {
        Some(pod) if of_the_node => place(pod),
        Some(_) => format!("one that user {} has made", container.owner),
        None => "of no pod".to_owned(),
    };
    let container_name = expected.container.clone();
    let wanted = Pod {
        namespace: expected.namespace.clone(),
        name: expected.pod.clone(),
        uid: expected.uid.clone(),
        container: container_name,
    };
    let id = expected.id.iter().map(|id| format!(" with ID {id}"));
    Err(Error::Elsewhere {
        id: container.id.clone(),
        found,
        expected: place(&wanted) + &id.collect::<String>(),
    })
}

fn place(pod: &Pod) -> String {
    let container = pod.container.iter().map(|name| format!("/{name}"));
    let uid = pod.uid.iter().map(|uid| format!(" (UID {uid})"));
    let rest: String = container.chain(uid).collect();
    format!("{}/{}{rest}", pod.namespace, pod.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Runtime;

    fn container() -> Container {
        let mut container = Container::new("0123", Runtime::Containerd);
        container.pod = Some(Pod {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: Some("u1".into()),
            container: Some("app".into()),
        });
        container
    }

    fn expected() -> Expected {
        Expected {
            namespace: "shop".into(),
            pod: "web-0".into(),
            uid: Some("u1".into()),
            container: Some("app".into()),
            id: Some("0123".into()),
        }
    }

    #[test]
    fn all_that_is_named_has_to_agree() {
        assert!(check_place(&container(), &expected()).is_ok());
        let by_pod = Expected {
            uid: None,
            container: None,
            id: None,
            ..expected()
        };
        assert!(check_place(&container(), &by_pod).is_ok());
        let change: [fn(&mut Expected); 5] = [
            |e| e.namespace = "office".into(),
            |e| e.pod = "web-1".into(),
            |e| e.uid = Some("u2".into()),
            |e| e.container = Some("db".into()),
            |e| e.id = Some("01234".into()),
        ];
        for change in change {
            let mut other = expected();
            change(&mut other);
            assert!(check_place(&container(), &other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn what_the_runtime_does_not_say_agrees_with_nothing() {
        let change: [fn(&mut Container); 4] = [
            |c| c.pod = None,
            |c| c.pod.as_mut().unwrap().uid = None,
            |c| c.pod.as_mut().unwrap().container = None,
            |c| c.owner = 1000,
        ];
        for change in change {
            let mut other = container();
            change(&mut other);
            assert!(check_place(&other, &expected()).is_err(), "{other:?}");
        }
    }
}
