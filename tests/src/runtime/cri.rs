//! Pods, made as the kubelet makes them: over the Container Runtime Interface.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, ContainerConfig, ContainerMetadata, ContainerStatusRequest, CreateContainerRequest,
    ImageSpec, Int64Value, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, PodSandboxStatusRequest,
    RemovePodSandboxRequest, RunPodSandboxRequest, SecurityProfile, StartContainerRequest,
    StopPodSandboxRequest,
};
use tokio::net::UnixStream;
use tokio::runtime::Runtime as Tokio;
use tonic::transport::{Channel, Endpoint};

use super::{Container, ContainerSpec};
use crate::Node;

/// A client of a node's CRI socket.
pub struct Cri {
    node: Node,
    tokio: Tokio,
    client: RuntimeServiceClient<Channel>,
}

/// A pod and its containers.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The ID of its sandbox.
    pub id: String,
    /// As in Kubernetes.
    pub namespace: String,
    /// As in Kubernetes.
    pub name: String,
    /// As in Kubernetes.
    pub uid: String,
    /// Its containers, in the order of their specs.
    pub containers: Vec<Container>,
    config: PodSandboxConfig,
}

impl Cri {
    /// Connects to the socket at this path of the node.
    pub fn connect(node: &Node, socket: &str) -> Self {
        let path: PathBuf = node.path(socket);
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let tokio = tokio.expect("a runtime for the client");
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = tokio.block_on(endpoint.connect_with_connector(connector));
        let client = RuntimeServiceClient::new(channel.expect("the CRI socket answers"));
        Self {
            node: node.clone(),
            tokio,
            client,
        }
    }

    /// Runs a pod. What its containers share is as the first of them says: network and processes
    /// of the node, privileges and user namespace.
    ///
    /// # Panics
    /// If the runtime refuses.
    pub fn run(&mut self, namespace: &str, name: &str, containers: &[ContainerSpec]) -> Pod {
        let config = sandbox(namespace, name, &containers[0]);
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        };
        let id = self.tokio.block_on(self.client.run_pod_sandbox(request));
        let id = id
            .unwrap_or_else(|status| panic!("run pod {name}: {status}"))
            .into_inner()
            .pod_sandbox_id;
        let uid = config
            .metadata
            .as_ref()
            .map(|it| it.uid.clone())
            .unwrap_or_default();
        let mut pod = Pod {
            id,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid,
            containers: Vec::new(),
            config,
        };
        for spec in containers {
            let container = self.tokio.block_on(start(&mut self.client, &pod, spec));
            let container =
                container.unwrap_or_else(|status| panic!("start {}: {status}", spec.name));
            pod.containers.push(container);
        }
        pod
    }

    /// Makes a container in a pod without starting it, and gives its ID.
    ///
    /// # Panics
    /// If the runtime refuses.
    pub fn create(&mut self, pod: &Pod, spec: &ContainerSpec) -> String {
        let created = self.tokio.block_on(create(&mut self.client, pod, spec));
        created.unwrap_or_else(|status| panic!("create {}: {status}", spec.name))
    }

    /// Gives the pod's address; it is empty on the node's network.
    pub fn address(&mut self, pod: &Pod) -> String {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: pod.id.clone(),
            verbose: false,
        };
        let status = self.tokio.block_on(self.client.pod_sandbox_status(request));
        let status = status.expect("the pod is there").into_inner().status;
        status
            .and_then(|status| status.network)
            .map(|network| network.ip)
            .unwrap_or_default()
    }

    /// Stops and removes a pod with its containers.
    ///
    /// # Panics
    /// If the runtime refuses.
    pub fn remove(&mut self, pod: &Pod) {
        let pod_sandbox_id = pod.id.clone();
        let stop = StopPodSandboxRequest {
            pod_sandbox_id: pod_sandbox_id.clone(),
        };
        self.tokio
            .block_on(self.client.stop_pod_sandbox(stop))
            .expect("the pod can be stopped");
        let remove = RemovePodSandboxRequest { pod_sandbox_id };
        self.tokio
            .block_on(self.client.remove_pod_sandbox(remove))
            .expect("and then removed");
        // The pod's own cgroup is the kubelet's to make and to remove.
        let group = format!("pod{}", pod.uid);
        let find = [
            "find",
            "/sys/fs/cgroup",
            "-depth",
            "-type",
            "d",
            "-name",
            &group,
            "-delete",
        ];
        self.node.command(find).ok();
    }
}

impl fmt::Debug for Cri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cri")
    }
}

async fn create(
    client: &mut RuntimeServiceClient<Channel>,
    pod: &Pod,
    spec: &ContainerSpec,
) -> Result<String, tonic::Status> {
    let request = CreateContainerRequest {
        pod_sandbox_id: pod.id.clone(),
        config: Some(container(pod, spec)),
        sandbox_config: Some(pod.config.clone()),
    };
    let created = client.create_container(request).await?;
    Ok(created.into_inner().container_id)
}

async fn start(
    client: &mut RuntimeServiceClient<Channel>,
    pod: &Pod,
    spec: &ContainerSpec,
) -> Result<Container, tonic::Status> {
    let container_id = create(client, pod, spec).await?;
    let request = StartContainerRequest {
        container_id: container_id.clone(),
    };
    client.start_container(request).await?;
    let request = ContainerStatusRequest {
        container_id: container_id.clone(),
        verbose: true,
    };
    let info = client.container_status(request).await?.into_inner().info;
    let info: serde_json::Value = info
        .get("info")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let pid = info["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .unwrap_or_default();
    Ok(Container {
        id: container_id,
        pid,
        spec: spec.clone(),
    })
}

fn sandbox(namespace: &str, name: &str, first: &ContainerSpec) -> PodSandboxConfig {
    let uid = format!(
        "00000000-0000-4000-8000-{:012x}",
        name.bytes()
            .fold(0, |sum, byte| sum * 31 % 999_983 + u64::from(byte))
    );
    let labels = [
        ("io.kubernetes.pod.name", name),
        ("io.kubernetes.pod.namespace", namespace),
        ("io.kubernetes.pod.uid", &uid),
    ];
    PodSandboxConfig {
        hostname: if first.host_network {
            String::new()
        } else {
            name.to_owned()
        },
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        log_directory: format!("/var/log/pods/{namespace}_{name}_{uid}"),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/kubepods/besteffort/pod{uid}"),
            security_context: Some(LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces(first)),
                privileged: first.privileged,
                ..Default::default()
            }),
            ..Default::default()
        }),
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid,
            namespace: namespace.to_owned(),
            attempt: 0,
        }),
        ..Default::default()
    }
}

fn namespaces(spec: &ContainerSpec) -> NamespaceOption {
    use super::spec::{USERNS_BASE, USERNS_SIZE};
    use k8s_cri::v1::{IdMapping, UserNamespace};
    let mode =
        |host: bool, own: NamespaceMode| i32::from(if host { NamespaceMode::Node } else { own });
    let ids = IdMapping {
        host_id: USERNS_BASE,
        container_id: 0,
        length: USERNS_SIZE,
    };
    NamespaceOption {
        network: mode(spec.host_network, NamespaceMode::Pod),
        pid: mode(spec.host_pid, NamespaceMode::Container),
        ipc: NamespaceMode::Pod.into(),
        userns_options: spec.userns.then(|| UserNamespace {
            mode: NamespaceMode::Pod.into(),
            uids: vec![ids],
            gids: vec![ids],
        }),
        ..Default::default()
    }
}

fn container(pod: &Pod, spec: &ContainerSpec) -> ContainerConfig {
    let seccomp = if spec.seccomp {
        ProfileType::RuntimeDefault
    } else {
        ProfileType::Unconfined
    };
    let dropped = if spec.no_caps {
        vec!["ALL".to_owned()]
    } else {
        Vec::new()
    };
    let own = [("io.kubernetes.container.name".to_owned(), spec.name.clone())];
    let of_pod = pod.config.labels.clone();
    let labels: HashMap<_, _> = of_pod
        .into_iter()
        .chain(own)
        .chain(spec.labels.clone())
        .collect();
    let env = spec.env.iter().map(|(key, value)| KeyValue {
        key: key.clone(),
        value: value.clone(),
    });
    ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: spec.name.clone(),
            attempt: 0,
        }),
        image: Some(ImageSpec {
            image: spec.image.name().to_owned(),
            ..Default::default()
        }),
        command: spec.argv.clone(),
        working_dir: spec.cwd.clone().unwrap_or_default(),
        envs: env.collect(),
        labels,
        log_path: format!("{}/0.log", spec.name),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources {
                memory_limit_in_bytes: spec.memory.and_then(|it| it.try_into().ok()).unwrap_or(0),
                ..Default::default()
            }),
            security_context: Some(LinuxContainerSecurityContext {
                capabilities: Some(Capability {
                    drop_capabilities: dropped,
                    ..Default::default()
                }),
                privileged: spec.privileged,
                namespace_options: Some(namespaces(spec)),
                run_as_user: Some(Int64Value {
                    value: spec.uid.into(),
                }),
                run_as_group: Some(Int64Value {
                    value: spec.uid.into(),
                }),
                readonly_rootfs: spec.read_only,
                no_new_privs: !spec.privileged,
                seccomp: Some(SecurityProfile {
                    profile_type: seccomp.into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}
