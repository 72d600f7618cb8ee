//! What other people's code says of our signatures: the library that Standard Webhooks publishes
//! for Python, which `cargo xtask test` installs below `target`.

use std::path::Path;
use std::process::{Command, Stdio};

use lingqian_hooks::sign;
use lingqian_io::courier::Parcel;

use crate::receiver::parcel;

const VERIFY: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
secret, body, headers = json.load(sys.stdin)
try:
    print(json.dumps(Webhook(secret).verify(body, headers)))
except WebhookVerificationError as error:
    print('refused:', error)
";

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What the library says of a message.
fn verified(parcel: &Parcel, secret: &str, body: &str) -> String {
    use std::io::Write as _;
    let headers = sign::headers(parcel).expect("it is signed");
    let headers = headers.map(|(name, value)| format!("{}:{}", quoted(name), quoted(&value)));
    let input = format!(
        "[{},{},{{{}}}]",
        quoted(secret),
        quoted(body),
        headers.join(",")
    );
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python");
    assert!(
        library.join("standardwebhooks").is_dir(),
        "the library is not there: `cargo xtask test` installs it"
    );
    let mut python = Command::new("python3")
        .args(["-c", VERIFY])
        .env("PYTHONPATH", library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut stdin = python.stdin.take().expect("an input");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

#[test]
fn the_published_library_verifies_our_messages_and_refuses_others() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut message = parcel("https://example.com/");
    // The library looks at the clock.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_millis();
    message.at.0 = i64::try_from(now).expect("in range");
    // Both secrets sign while a receiver changes from one to the other.
    let newer = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    message.keys.insert(0, sign::read(newer).expect("a secret"));
    for secret in [secret, newer] {
        let said = verified(&message, secret, &message.body);
        assert!(said.contains("payout.paid"), "{said}");
    }
    let other = verified(&message, secret, &message.body.replace("paid", "made"));
    assert!(other.starts_with("refused:"), "{other}");
    let stranger = "whsec_BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let other = verified(&message, stranger, &message.body);
    assert!(other.starts_with("refused:"), "{other}");
    message.at.0 -= 10 * 60_000;
    let late = verified(&message, secret, &message.body);
    assert!(late.starts_with("refused:"), "{late}");
}
