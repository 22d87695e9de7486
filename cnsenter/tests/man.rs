//! The man pages say something about everything.

fn explained(command: &clap::Command) {
    let name = command.get_name();
    assert!(command.get_about().is_some(), "{name}");
    for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
        assert!(arg.get_help().is_some(), "{name}: {}", arg.get_id());
    }
    command.get_subcommands().for_each(explained);
}

#[test]
fn every_flag_and_subcommand_is_explained() {
    let mut command = cnsenter::cli::command();
    command.build();
    explained(&command);
}

#[test]
fn every_page_shows_its_flags() {
    let dir = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(cnsenter::cli::command(), dir.path()).unwrap();
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("cnsenter.1").contains("\\-\\-kill\\-on\\-exit"));
    assert!(page("cnsenter.1").contains("cnsenter\\-inspect(1)"));
    assert!(page("cnsenter-ls.1").contains("\\-\\-pod"));
    assert!(page("cnsenter-inspect.1").contains("\\-\\-output"));
}
