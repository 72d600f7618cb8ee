//! What a token's errors mean for whoever waits for a signature.

use cryptoki::error::{Error, RvError};
use lingqian_io::keys::KeyFault;

/// The name of an error; it never holds what was to be signed, nor a PIN.
pub(crate) fn word(error: &Error) -> String {
    match error {
        Error::Pkcs11(value, function) => format!("{function:?} answered {value:?}"),
        Error::LibraryLoading(_) | Error::MissingSymbol(_) | Error::NullFunctionPointer => {
            "the library lacks a function".into()
        }
        _ => "the library answered nonsense".into(),
    }
}

/// Whether the session is of no use any more and a new one may help.
pub(crate) fn session_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::DeviceMemory
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid
                | RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::HostMemory,
            _
        )
    )
}

/// Whether the PIN was refused; to try it again would lock the token.
pub(crate) fn pin_refused(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
            _
        )
    )
}

/// The same in the words of the port.
pub(crate) fn fault(error: &Error) -> KeyFault {
    match error {
        Error::Pkcs11(RvError::PinLocked, _) => KeyFault::Broken(
            "the token's PIN is locked after too many wrong ones; its security officer unlocks it"
                .into(),
        ),
        Error::Pkcs11(RvError::PinExpired, _) => {
            KeyFault::Broken("the token's PIN has expired".into())
        }
        Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange, _) => {
            KeyFault::Tampered
        }
        Error::Pkcs11(RvError::SessionCount | RvError::FunctionCanceled, _) => {
            KeyFault::Away(word(error))
        }
        error if session_lost(error) => KeyFault::Away(word(error)),
        error => KeyFault::Broken(word(error)),
    }
}
