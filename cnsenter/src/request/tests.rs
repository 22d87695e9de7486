use super::*;

#[test]
fn reads_every_form_of_target() {
    let pod = |c: Option<&str>| Query::Pod {
        namespace: "ns".into(),
        pod: "web-0".into(),
        container: c.map(Into::into),
    };
    assert_eq!(Query::parse("pid:42"), Ok(Query::Pid(42)));
    assert_eq!(Query::parse("ns/web-0"), Ok(pod(None)));
    assert_eq!(Query::parse("ns/web-0/app"), Ok(pod(Some("app"))));
    assert_eq!(Query::parse("0123abc"), Ok(Query::Word("0123abc".into())));
    assert_eq!(
        Query::parse("cri-o://0123abc"),
        Ok(Query::Id {
            scheme: Scheme::CriO,
            id: "0123abc".into()
        })
    );
}

#[test]
fn refuses_what_could_leave_a_state_directory() {
    let long = "x".repeat(100_000);
    for bad in [long.clone(), format!("ns/{long}"), format!("{long}://x")] {
        let told = Query::parse(&bad).unwrap_err().to_string();
        assert!(told.len() < 500, "{}", told.len());
    }
    for bad in [
        "",
        "..",
        ".x",
        "a b",
        "pid:0",
        "pid:-1",
        "pid:x",
        "ns/",
        "/a",
        "a/b/c/d",
        "x://y",
        "docker://../../etc",
        "a\u{1b}[0m",
        "ns/pod/",
    ] {
        assert!(Query::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_number_is_never_a_name() {
    assert_eq!(IdOrName::parse("1000"), Ok(IdOrName::Id(1000)));
    for bad in [
        "4294967295",
        "4294967296",
        "-1",
        "+0",
        "18446744073709551616",
        "",
    ] {
        assert!(IdOrName::parse(bad).is_err(), "{bad:?}");
    }
    for bad in [":0", "app:", "-1:app"] {
        assert_eq!(UserSpec::parse(bad), Err(Error::BadUser(bad.into())));
    }
    assert_eq!(
        UserSpec::parse("app:1"),
        Ok(UserSpec {
            user: IdOrName::Name("app".into()),
            group: Some(IdOrName::Id(1))
        })
    );
}
