//! What a person does with a token: prepare it, make keys in it, look at it.

use std::path::Path;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use lingqian_io::keys::KeyFault;

use super::fault::{fault, pin_refused};
use super::seat::{Trouble, login, slot};
use super::{PinSource, Token, module};

/// Bits of a merchant's key; WeChat wants neither more nor fewer.
const RSA_BITS: u64 = 2_048;

/// What a token says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// Its label.
    pub label: String,
    /// Who made it, and what it is.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Nothing if we could log in; otherwise why not.
    pub login: Option<String>,
    /// Labels of private keys.
    pub signing_keys: Vec<String>,
    /// Labels of secret keys.
    pub sealing_keys: Vec<String>,
}

/// Prepares the first token that nobody has prepared: label, security officer's PIN, user's PIN.
///
/// # Errors
/// When a token has that label already, or none is left to be prepared.
pub fn init(
    path: &Path,
    label: &str,
    officer: &PinSource,
    user: &PinSource,
) -> Result<(), KeyFault> {
    if label.is_empty() || label.len() > 32 {
        return Err(KeyFault::Broken("a token's label has 1 to 32 bytes".into()));
    }
    let (officer, user) = (officer.read()?, user.read()?);
    let module = module::load(path)?;
    if !matches!(slot(&module, label), Err(Trouble::Ours(KeyFault::Away(_)))) {
        let words = format!("a token named {label} is there already");
        return Err(KeyFault::Broken(words));
    }
    let broken = |error: cryptoki::error::Error| fault(&error);
    let slots = module.get_slots_with_token().map_err(broken)?;
    let blank = slots.into_iter().find(|slot| {
        let info = module.get_token_info(*slot);
        info.is_ok_and(|info| !info.token_initialized())
    });
    let blank = blank.ok_or_else(|| KeyFault::Broken("no blank token is there".into()))?;
    let pin = AuthPin::new(officer.as_str().into());
    module.init_token(blank, &pin, label).map_err(broken)?;
    let slot = slot(&module, label).map_err(ours)?;
    let session = module.open_rw_session(slot).map_err(broken)?;
    login(&session, UserType::So, &officer).map_err(broken)?;
    session
        .init_pin(&AuthPin::new(user.as_str().into()))
        .map_err(broken)?;
    session.logout().map_err(broken)
}

fn ours(trouble: Trouble) -> KeyFault {
    match trouble {
        Trouble::Ours(fault) => fault,
        Trouble::Token(error) => fault(&error),
    }
}

impl Token {
    /// Makes an RSA key of 2,048 bits that never leaves the token.
    ///
    /// # Errors
    /// When there is a key of that label already, or the token refuses.
    pub async fn generate(&self, label: &str) -> Result<(), KeyFault> {
        let label = label.to_owned();
        self.ask(Box::new(move |seat| {
            free(seat.session()?, &label)?;
            let public = [
                Attribute::Token(true),
                Attribute::Label(label.as_str().into()),
                Attribute::Id(label.as_bytes().to_vec()),
                Attribute::ModulusBits(RSA_BITS.into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
                Attribute::Verify(true),
                Attribute::Encrypt(true),
            ];
            let private = [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Label(label.as_str().into()),
                Attribute::Id(label.as_bytes().to_vec()),
                Attribute::Sign(true),
                Attribute::Decrypt(true),
            ];
            let made = Mechanism::RsaPkcsKeyPairGen;
            seat.session()?
                .generate_key_pair(&made, &public, &private)?;
            Ok(Vec::new())
        }))
        .await
        .map(|_| ())
    }

    /// Makes an AES-256 key for sealing that never leaves the token.
    ///
    /// # Errors
    /// When there is a key of that label already, or the token refuses.
    pub async fn generate_sealing(&self, label: &str) -> Result<(), KeyFault> {
        let label = label.to_owned();
        self.ask(Box::new(move |seat| {
            free(seat.session()?, &label)?;
            let key = [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Label(label.as_str().into()),
                Attribute::Id(label.as_bytes().to_vec()),
                Attribute::ValueLen(32.into()),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
            ];
            seat.session()?.generate_key(&Mechanism::AesKeyGen, &key)?;
            Ok(Vec::new())
        }))
        .await
        .map(|_| ())
    }

    /// What the token says about itself, whether or not it lets us in. It blocks; it is for a
    /// command, not for a server.
    ///
    /// # Errors
    /// When the module does not load or the token is not there.
    pub fn status(&self) -> Result<TokenStatus, KeyFault> {
        let settings = self.settings();
        let module = module::load(&settings.module)?;
        let slot = slot(&module, &settings.label).map_err(ours)?;
        let broken = |error: cryptoki::error::Error| fault(&error);
        let info = module.get_token_info(slot).map_err(broken)?;
        let session = module.open_ro_session(slot).map_err(broken)?;
        let pin = settings.pin.read();
        let login = match pin.map(|pin| login(&session, UserType::User, &pin)) {
            Ok(Ok(())) => None,
            Ok(Err(error)) if pin_refused(&error) => Some("the PIN was refused".to_owned()),
            Ok(Err(error)) => Some(fault(&error).to_string()),
            Err(fault) => Some(fault.to_string()),
        };
        let keys = |class| labels(&session, class).unwrap_or_default();
        Ok(TokenStatus {
            label: settings.label.clone(),
            model: format!("{} {}", info.manufacturer_id().trim(), info.model().trim()),
            serial: info.serial_number().trim().to_owned(),
            signing_keys: keys(ObjectClass::PRIVATE_KEY),
            sealing_keys: keys(ObjectClass::SECRET_KEY),
            login,
        })
    }
}

fn free(session: &Session, label: &str) -> Result<(), Trouble> {
    let found = session.find_objects(&[Attribute::Label(label.into())])?;
    if found.is_empty() {
        return Ok(());
    }
    let words = format!("the token has a key named {label} already");
    Err(Trouble::Ours(KeyFault::Broken(words)))
}

fn labels(session: &Session, class: ObjectClass) -> Result<Vec<String>, cryptoki::error::Error> {
    let mut labels = Vec::new();
    for key in session.find_objects(&[Attribute::Class(class)])? {
        let wanted = [cryptoki::object::AttributeType::Label];
        for attribute in session.get_attributes(key, &wanted)? {
            if let Attribute::Label(bytes) = attribute {
                labels.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    labels.sort();
    Ok(labels)
}
