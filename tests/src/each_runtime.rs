/// One test for each runtime, for them to run side by side: `check` is called with a
/// [`Kind`](crate::Kind) and that [`Runtime`](crate::Runtime), on a node of its own.
#[macro_export]
macro_rules! on_each_runtime {
    ($check:ident) => {
        $crate::on_each_runtime! {
            $check;
            containerd_1_6: Containerd16,
            containerd_1_6_crun: Containerd16Crun,
            containerd_2_2: Containerd22,
            docker: Docker,
            podman: Podman,
            podman_rootless: PodmanRootless,
            runc_1_1: Runc11,
            runc_1_5: Runc15,
            crun: Crun,
        }
    };
    ($check:ident; $($name:ident: $kind:ident,)*) => {$(
        #[test]
        fn $name() {
            let node = $crate::Node::start();
            let runtime = $crate::Kind::$kind.start(&node);
            $check($crate::Kind::$kind, runtime.as_ref());
        }
    )*};
}
