//! An FTP server, in clear text and by TLS.

use std::fs;

use lingqian_io::Fault;
use lingqian_io::files::Taken;
use lingqian_pickup::ftp::Ftp;
use lingqian_pickup::place::Server;
use lingqian_pickup::{Access, PlaceFault};

use crate::servers::{self, PASSWORD, Running, large, take};

fn server(port: u16) -> Server {
    Server {
        user: "lq".into(),
        host: "localhost".into(),
        port,
        folder: "/".into(),
    }
}

fn access(password: &str) -> Access {
    Access {
        password: Some(password.to_owned().into()),
        ..Access::default()
    }
}

fn clear(server: Server, password: &str) -> Ftp {
    Ftp::new(server, access(password), false).expect("it can work")
}

/// What a person is told, where one must look.
fn broken(taken: Result<(Taken, Vec<u8>), Fault>) -> String {
    match taken {
        Err(Fault::Broken(words)) => words,
        other => panic!("{:?}", other.map(|(taken, _)| taken)),
    }
}

/// What is said of a server that is asked again later.
fn away(taken: Result<(Taken, Vec<u8>), Fault>) -> String {
    match taken {
        Err(Fault::Retry(words)) => words,
        other => panic!("{:?}", other.map(|(taken, _)| taken)),
    }
}

#[tokio::test]
async fn a_file_is_taken_in_clear_text_from_this_machine_only() {
    let there = servers::ftp(None, &[]);
    let ftp = clear(server(there.port), PASSWORD);
    assert_eq!(take(&ftp, "none").await, Ok((Taken::Absent, Vec::new())));
    let (taken, bytes) = take(&ftp, "b.gz").await.expect("taken");
    assert!(taken == Taken::Whole(3_000_017) && bytes == large());
    assert!(there.path("files/b.gz").exists(), "it is left there");
    fs::write(there.path("files/empty"), "").expect("written");
    assert_eq!(take(&ftp, "empty").await, Ok((Taken::Whole(0), Vec::new())));
    let far = Server {
        host: "ftp.bank.test".into(),
        ..server(21)
    };
    let refused = Ftp::new(far.clone(), access("x"), false).expect_err("in clear");
    assert_eq!(refused, PlaceFault::InClear);
    let allowed = Access {
        clear_text: true,
        ..access("x")
    };
    assert!(Ftp::new(far, allowed, false).is_ok());
    assert_eq!(
        Ftp::new(server(21), Access::default(), false).expect_err("none"),
        PlaceFault::NoLogin
    );
}

#[tokio::test]
async fn a_wrong_password_and_a_folder_that_is_not_there_want_a_person() {
    let there = servers::ftp(None, &[]);
    let words = broken(take(&clear(server(there.port), "wrong-8c1e"), "b.gz").await);
    assert!(
        words.starts_with("source_login_refused: ") && !words.contains("8c1e"),
        "{words}"
    );
    let elsewhere = Server {
        folder: "/nowhere".into(),
        ..server(there.port)
    };
    let words = broken(take(&clear(elsewhere, PASSWORD), "b.gz").await);
    assert!(words.starts_with("source_folder_missing: "), "{words}");
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_gives_no_file() {
    let there = servers::ftp(None, &["cut"]);
    let ftp = clear(server(there.port), PASSWORD);
    for _ in 0..2 {
        // The second time nobody listens any more.
        let words = away(take(&ftp, "b.gz").await);
        assert!(words.starts_with("source_away: "), "{words}");
    }
}

#[tokio::test]
async fn a_file_that_is_still_written_is_left_for_later() {
    let there = servers::ftp(None, &["grow"]);
    let ftp = clear(server(there.port), PASSWORD);
    let (taken, _) = take(&ftp, "b.gz").await.expect("an answer");
    assert_eq!(taken, Taken::Arriving);
}

fn by_tls(there: &Running, roots: &str) -> Ftp {
    let access = Access {
        roots: Some(roots.to_owned()),
        ..access(PASSWORD)
    };
    Ftp::new(server(there.port), access, true).expect("it can work")
}

#[tokio::test]
async fn by_tls_the_server_proves_itself_before_the_password_is_sent() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let there = servers::ftp(Some(&format!("{key}{pem}")), &[]);
    let (taken, bytes) = take(&by_tls(&there, &pem), "b.gz").await.expect("taken");
    assert!(taken == Taken::Whole(3_000_017) && bytes == large());
    // In clear text this server takes no password at all.
    let clear = clear(server(there.port), PASSWORD);
    assert!(take(&clear, "b.gz").await.is_err());
    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("another");
    let words = broken(take(&by_tls(&there, &other.cert.pem()), "b.gz").await);
    assert!(words.starts_with("source_unproved: "), "{words}");
    let named = Server {
        host: "127.0.0.1".into(),
        ..server(there.port)
    };
    let access = Access {
        roots: Some(pem),
        ..access(PASSWORD)
    };
    let ftps = Ftp::new(named, access, true).expect("it can work");
    let words = broken(take(&ftps, "b.gz").await);
    assert!(
        words.starts_with("source_unproved: "),
        "another name: {words}"
    );
}
