//! What goes wrong on purpose. Each fault is a line of a script, so that a failing run can be
//! made smaller by leaving faults out one by one.

macro_rules! phrases {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $words:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$what])* $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The words of a story.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $($name::$variant => $words,)+ }
            }

            /// The one of these words.
            #[must_use]
            pub fn from_words(words: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|fault| fault.words() == words)
            }
        }
    };
}

phrases! {
    /// What the next call of its sort to WeChat runs into.
    WechatFault {
        /// A send never arrives; nobody answers.
        LosesRequest = "loses the request",
        /// A send arrives a while after everybody gave up on it.
        GetsItLate = "gets the request late",
        /// A send is accepted and the answer lost.
        LosesAnswer = "loses the answer",
        /// A send is accepted and answered with a server's error.
        BreaksAfter = "breaks after accepting",
        /// A send is not accepted and answered with a server's error.
        BreaksBefore = "breaks before accepting",
        /// A send is accepted and answered with a code that nobody knows.
        UnknownCode = "answers with an unknown code",
        /// A send is accepted and the answer signed with a key that nobody has.
        Unverifiable = "signs with a strange key",
        /// A send is accepted and answered as if the number had come with other data.
        SeesConflict = "sees a conflict",
        /// A send is refused because too many came.
        Throttles = "throttles",
        /// A send is refused until a person has changed something.
        WantsRight = "wants another right",
        /// A send is refused because this request will never do, whatever came before.
        RefusesForGood = "refuses for good",
        /// A proxy refuses a send in WeChat's words, without a signature.
        ProxyRefuses = "is hidden by a proxy that refuses",
        /// A send is accepted and at first not found when asked about.
        RecordLate = "keeps its record late",
        /// A send is accepted, and closed at once.
        ClosesAtOnce = "closes it at once",
        /// A question is not answered.
        SilentToQuestion = "is silent to the question",
        /// A question is refused.
        RefusesQuestion = "refuses the question",
        /// A cancel never arrives.
        LosesCancel = "loses the cancel",
        /// A cancel arrives and its answer is lost.
        LosesCancelAnswer = "loses the answer to the cancel",
        /// The user confirms just before a cancel arrives.
        ConfirmWins = "hears the user before the cancel",
    }
}

phrases! {
    /// What the next operation of its sort on the store runs into.
    StoreFault {
        /// A prefetch fails; nothing happened.
        Prefetch = "prefetch fails",
        /// A commit fails; nothing is written.
        Commit = "commit fails",
        /// The fate of a commit is unknown; nothing is written.
        CommitLost = "commit is lost",
        /// The fate of a commit is unknown; all of it is written.
        CommitUnanswered = "commit is not answered",
        /// Somebody else committed just before.
        CommitConflict = "commit conflicts",
        /// A claim fails; nothing is leased.
        Claim = "claim fails",
        /// A claim is not answered; what it leased stays leased.
        ClaimUnanswered = "claim is not answered",
        /// A look fails.
        Look = "look fails",
    }
}

phrases! {
    /// What happens to the next notification of an end.
    NoticeFault {
        /// It never comes.
        Dropped = "dropped",
        /// It comes twice at once.
        Doubled = "doubled",
        /// It comes hours later, behind others.
        Delayed = "delayed",
        /// It is there before the answer to the call.
        Early = "early",
    }
}

phrases! {
    /// What the next message to a receiver of the app runs into.
    HookFault {
        /// It never gets there.
        NeverHears = "never hears",
        /// The receiver fails.
        Fails = "fails",
        /// The receiver takes it, and nobody hears of that.
        TakesInSilence = "takes it in silence",
        /// The receiver takes it, and takes its time.
        AnswersLate = "answers late",
        /// The receiver asks to be left in peace for a while.
        WantsPeace = "wants peace",
        /// The receiver wants nothing any more.
        IsGone = "is gone",
    }
}

phrases! {
    /// A notification that is not WeChat's, or not about what we sent.
    Forgery {
        /// The signature is not WeChat's; it says that the money was paid.
        Signature = "signature",
        /// Rightly signed, and about another amount.
        Amount = "amount",
        /// Rightly signed, and about another receiver.
        Receiver = "receiver",
        /// Rightly signed, and about another merchant.
        Merchant = "merchant",
        /// Rightly signed, and about a number that was never sent.
        Number = "number",
    }
}

phrases! {
    /// What is wrong with the next bill that is fetched.
    BillFault {
        /// It is not made yet.
        Late = "late",
        /// The file ends early; its totals do not fit.
        Truncated = "truncated",
        /// A row is damaged and does not read.
        Damaged = "damaged",
        /// A row of a payout is not in it, and in the totals neither.
        RowMissing = "missing a row",
        /// A row is in it twice, under one number.
        RowDoubled = "doubling a row",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for fault in WechatFault::ALL {
            assert_eq!(WechatFault::from_words(fault.words()), Some(*fault));
        }
        for fault in StoreFault::ALL {
            assert_eq!(StoreFault::from_words(fault.words()), Some(*fault));
        }
        for fault in HookFault::ALL {
            assert_eq!(HookFault::from_words(fault.words()), Some(*fault));
        }
        assert_eq!(Forgery::from_words("nothing"), None);
    }
}
