//! OpenSSH's server.

use std::fs;

use lingqian_io::Fault;
use lingqian_io::files::Taken;
use lingqian_pickup::place::Server;
use lingqian_pickup::sftp::Sftp;
use lingqian_pickup::{Access, Place, PlaceFault};

use crate::servers::{PASSWORD, Running, large, run, ssh, sshd, take, user};

fn server(sshd: &Running) -> Server {
    let url = format!(
        "sftp://{}@127.0.0.1:{}{}",
        user(),
        sshd.port,
        sshd.path("files").display()
    );
    match Place::parse(&url) {
        Ok(Place::Sftp(server)) => server,
        other => panic!("{other:?}"),
    }
}

fn fingerprint(sshd: &Running, key: &str) -> String {
    let path = sshd.path(&format!("{key}.pub"));
    let text = run("ssh-keygen", &["-lf", &path.display().to_string()]);
    text.split_whitespace()
        .nth(1)
        .expect("a fingerprint")
        .to_owned()
}

fn access(sshd: &Running, key: &str, host: &str) -> Access {
    let text = fs::read_to_string(sshd.path(key)).expect("a key");
    Access {
        key: Some(text.into()),
        host_keys: vec![fingerprint(sshd, host)],
        ..Access::default()
    }
}

fn broken<T: std::fmt::Debug>(taken: Result<T, Fault>) -> String {
    match taken {
        Err(Fault::Broken(words)) => words,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_is_taken_from_a_server_whose_host_key_is_named() {
    let sshd = sshd();
    let sftp = Sftp::new(server(&sshd), access(&sshd, "user", "host")).expect("it can work");
    assert_eq!(take(&sftp, "b.gz").await, Ok((Taken::Absent, Vec::new())));
    fs::write(sshd.path("files/b.gz"), large()).expect("written");
    let (taken, bytes) = take(&sftp, "b.gz").await.expect("taken");
    assert!(taken == Taken::Whole(3_000_017) && bytes == large());
    assert!(sshd.path("files/b.gz").exists(), "it is left there");
    fs::write(sshd.path("files/half"), "").expect("written");
    assert_eq!(take(&sftp, "half").await, Ok((Taken::Whole(0), Vec::new())));
}

#[tokio::test]
async fn a_server_with_another_host_key_is_told_nothing() {
    let sshd = sshd();
    fs::write(sshd.path("files/b.gz"), "abc").expect("written");
    let sftp = Sftp::new(server(&sshd), access(&sshd, "user", "other")).expect("it can work");
    let words = broken(take(&sftp, "b.gz").await);
    assert!(words.starts_with("host_key_changed: "), "{words}");
    assert!(words.contains(&fingerprint(&sshd, "host")), "{words}");
    let log = fs::read_to_string(sshd.path("log")).expect("a log");
    assert!(!log.contains("Accepted"), "{log}");
}

#[tokio::test]
async fn host_keys_may_stand_in_a_file_of_openssh() {
    let sshd = sshd();
    fs::write(sshd.path("files/b.gz"), "abc").expect("written");
    let line = |key: &str| {
        let public = fs::read_to_string(sshd.path(&format!("{key}.pub"))).expect("a key");
        format!("[127.0.0.1]:{} {public}", sshd.port)
    };
    let open = |text: &str| {
        let path = sshd.path("known");
        fs::write(&path, text).expect("written");
        let access = Access {
            host_keys: Vec::new(),
            known_hosts: Some(path),
            ..access(&sshd, "user", "host")
        };
        Sftp::new(server(&sshd), access)
    };
    let with = |text: &str| open(text).expect("it can work");
    let taken = take(&with(&line("host")), "b.gz").await.expect("taken");
    assert_eq!(taken.0, Taken::Whole(3));
    // The kind of key that is known is asked for, although the server has another one.
    let taken = take(&with(&line("host2")), "b.gz").await.expect("taken");
    assert_eq!(taken.0, Taken::Whole(3));
    let words = broken(take(&with(&line("other")), "b.gz").await);
    assert!(words.starts_with("host_key_changed: "), "{words}");
    let elsewhere = line("host").replacen("127.0.0.1", "10.0.0.1", 1);
    for nothing in ["", "# a remark\n", &elsewhere] {
        assert_eq!(open(nothing).expect_err("none"), PlaceFault::NoHostKey);
    }
    let revoked = format!("{}@revoked {}", line("host"), line("host"));
    let refused = open(&revoked).expect_err("revoked");
    assert!(refused.to_string().contains("line 2"), "{refused}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so() {
    let sshd = sshd();
    let sftp = Sftp::new(server(&sshd), access(&sshd, "user2", "host")).expect("it can work");
    let words = broken(take(&sftp, "b.gz").await);
    assert!(words.starts_with("source_login_refused: "), "{words}");
    let password = Access {
        key: None,
        password: Some("secret-9d31".to_owned().into()),
        ..access(&sshd, "user", "host")
    };
    assert!(!format!("{password:?}").contains("9d31"));
    let sftp = Sftp::new(server(&sshd), password).expect("it can work");
    let words = broken(take(&sftp, "b.gz").await);
    assert!(
        words.starts_with("source_login_refused: ") && !words.contains("9d31"),
        "{words}"
    );
}

#[tokio::test]
async fn without_a_pinned_key_or_a_login_nothing_is_opened() {
    let sshd = sshd();
    let good = access(&sshd, "user", "host");
    let open = |access: Access| Sftp::new(server(&sshd), access).expect_err("refused");
    let none = Vec::new();
    assert_eq!(
        open(Access {
            host_keys: none,
            ..good.clone()
        }),
        PlaceFault::NoHostKey
    );
    let odd = vec!["MD5:aa".to_owned()];
    assert_eq!(
        open(Access {
            host_keys: odd,
            ..good.clone()
        }),
        PlaceFault::HostKeyUnreadable
    );
    assert_eq!(
        open(Access {
            key: None,
            ..good.clone()
        }),
        PlaceFault::NoLogin
    );
    let text = Some("no key".to_owned().into());
    assert!(matches!(
        open(Access { key: text, ..good }),
        PlaceFault::KeyUnreadable(_)
    ));
    let away = Server {
        port: 1,
        ..server(&sshd)
    };
    let sftp = Sftp::new(away, access(&sshd, "user", "host")).expect("it can work");
    assert!(
        matches!(take(&sftp, "b").await, Err(Fault::Retry(words)) if words.contains("source_away"))
    );
    let nowhere = Server {
        folder: sshd.path("nowhere").display().to_string(),
        ..server(&sshd)
    };
    let sftp = Sftp::new(nowhere, access(&sshd, "user", "host")).expect("it can work");
    let words = broken(take(&sftp, "b").await);
    assert!(words.starts_with("source_folder_missing: "), "{words}");
}

/// A server that takes a password, and what it is told.
fn by_password(running: &Running, password: &str) -> Sftp {
    let server = Server {
        user: "lq".into(),
        host: "127.0.0.1".into(),
        port: running.port,
        folder: "/".into(),
    };
    let access = Access {
        password: Some(password.to_owned().into()),
        host_keys: vec![fingerprint(running, "host")],
        ..Access::default()
    };
    Sftp::new(server, access).expect("it can work")
}

#[tokio::test]
async fn a_password_opens_as_well() {
    let there = ssh(&[]);
    let (taken, bytes) = take(&by_password(&there, PASSWORD), "b.gz")
        .await
        .expect("taken");
    assert!(taken == Taken::Whole(3_000_017) && bytes == large());
    let words = broken(take(&by_password(&there, "wrong-8c1e"), "b.gz").await);
    assert!(
        words.starts_with("source_login_refused: ") && !words.contains("8c1e"),
        "{words}"
    );
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_gives_no_file() {
    let there = ssh(&["cut"]);
    let sftp = by_password(&there, PASSWORD);
    for _ in 0..2 {
        // The second time nobody listens any more.
        let taken = take(&sftp, "b.gz").await.map(|(taken, _)| taken);
        assert!(
            matches!(&taken, Err(Fault::Retry(words)) if words.starts_with("source_away: ")),
            "{taken:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_still_written_is_left_for_later() {
    let there = ssh(&["grow"]);
    let (taken, _) = take(&by_password(&there, PASSWORD), "b.gz")
        .await
        .expect("an answer");
    assert_eq!(taken, Taken::Arriving);
}
