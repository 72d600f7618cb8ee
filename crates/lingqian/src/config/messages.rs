//! `[[messages]]`: which users are told of which events by messages of WeChat's.

use std::collections::BTreeMap;

use anyhow::Context as _;
use lingqian_core::id::AppId;
use lingqian_core::notice::Event;
use serde::Deserialize;

/// What may stand in a value, in braces.
pub(crate) const WORDS: [&str; 6] = ["title", "amount", "time", "reference", "code", "payout"];

/// One of `[[messages]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageEntry {
    /// The app whose users are told: an official account or a mini program.
    pub(crate) app: String,
    /// The event, such as `payout.paid`.
    pub(crate) event: String,
    /// The template's id at WeChat.
    pub(crate) template: String,
    /// A mini program's page that the message leads to.
    pub(crate) page: Option<String>,
    /// A web page that a template message leads to.
    pub(crate) url: Option<String>,
    /// The template's values by their keys.
    pub(crate) data: BTreeMap<String, String>,
}

impl MessageEntry {
    /// # Errors
    /// What could never work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let (app, event) = (&self.app, &self.event);
        let named = || format!("messages: {app}, {event}");
        AppId::parse(app).with_context(named)?;
        let known = Event::from_name(event);
        let of_users = known.is_some_and(|known| {
            let object = known.object();
            ["user", "link", "payout"].contains(&object)
        });
        anyhow::ensure!(of_users, "messages: {event:?} is no event of a user");
        anyhow::ensure!(!self.template.is_empty(), "{}: template is empty", named());
        anyhow::ensure!(!self.data.is_empty(), "{}: data is empty", named());
        for value in self.data.values() {
            for word in value.split('{').skip(1) {
                let word = word.split('}').next().unwrap_or_default();
                anyhow::ensure!(
                    WORDS.contains(&word),
                    "{}: {{{word}}} is none of {}",
                    named(),
                    WORDS.join(", ")
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> String {
        let entry: MessageEntry = toml::from_str(text).expect(text);
        let checked = entry.check();
        checked.map_or_else(|error| format!("{error:#}"), |()| "fits".to_owned())
    }

    #[test]
    fn a_message_that_could_never_be_sent_is_named() {
        let with = |event: &str, value: &str| {
            format!(
                "app = \"wx0123456789abcdef\"\nevent = \"{event}\"\ntemplate = \"t\"\n\
                 data = {{ thing1 = \"{value}\" }}\n"
            )
        };
        assert_eq!(checked(&with("payout.paid", "{title}: {amount}")), "fits");
        for (event, value, words) in [
            ("payout.payed", "x", "is no event"),
            ("bill.closed", "x", "is no event"),
            ("payout.paid", "{name}", "{name} is none of"),
        ] {
            let said = checked(&with(event, value));
            assert!(said.contains(words), "{said}");
        }
    }
}
