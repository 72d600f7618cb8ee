//! The table of all routes. Who may use a route and what is published about it are read from
//! here, so neither can drift from the other.

/// What a key may be allowed to do.
pub const SCOPES: [&str; 15] = [
    "users:read",
    "users:write",
    "events:write",
    "withdrawals:write",
    "payouts:read",
    "payouts:write",
    "payouts:approve",
    "payouts:operate",
    "books:read",
    "letters:read",
    "letters:write",
    "feed:read",
    "webhooks:read",
    "webhooks:write",
    "metrics:read",
];

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path with its parameters in braces.
    pub path: &'static str,
    /// What a key must be allowed to do; none for an open route.
    pub scope: Option<&'static str>,
    /// One line for people.
    pub summary: &'static str,
    /// The schema of the body, where there is one.
    pub request: Option<&'static str>,
    /// The status of success.
    pub status: u16,
    /// The schema of the answer, where it is JSON.
    pub response: Option<&'static str>,
    /// Names of query parameters and headers.
    pub parameters: &'static [&'static str],
}

const fn route(
    method: &'static str,
    path: &'static str,
    scope: Option<&'static str>,
    summary: &'static str,
) -> Route {
    Route {
        method,
        path,
        scope,
        summary,
        request: None,
        status: 200,
        response: None,
        parameters: &[],
    }
}

impl Route {
    const fn takes(self, schema: &'static str) -> Route {
        Route {
            request: Some(schema),
            ..self
        }
    }

    const fn answers(self, status: u16, schema: &'static str) -> Route {
        Route {
            status,
            response: Some(schema),
            ..self
        }
    }

    const fn with(self, parameters: &'static [&'static str]) -> Route {
        Route { parameters, ..self }
    }
}

/// Every route, in the order in which money moves.
pub const ROUTES: [Route; 59] = [
    route(
        "POST",
        "/v1/users",
        Some("users:write"),
        "Register a user of the app",
    )
    .takes("NewUser")
    .answers(201, "User"),
    route(
        "GET",
        "/v1/users",
        Some("users:read"),
        "List users in the order in which they were registered",
    )
    .answers(200, "Users")
    .with(&["limit", "cursor"]),
    route(
        "GET",
        "/v1/users/{id}",
        Some("users:read"),
        "Show a user with balances",
    )
    .answers(200, "User"),
    route(
        "PATCH",
        "/v1/users/{id}",
        Some("users:write"),
        "Freeze or unfreeze a user",
    )
    .takes("UserChange")
    .answers(200, "User"),
    route(
        "GET",
        "/v1/users/{id}/statement",
        Some("users:read"),
        "List a user's entries, newest first",
    )
    .answers(200, "Statement")
    .with(&["limit", "cursor"]),
    route(
        "GET",
        "/v1/users/{id}/messages",
        Some("users:read"),
        "List what a user was told, the newest first",
    )
    .answers(200, "Messages")
    .with(&["limit", "cursor"]),
    route(
        "POST",
        "/v1/users/{id}/messages/read",
        Some("users:write"),
        "Note that a user read the messages up to a number",
    )
    .takes("MessagesRead")
    .answers(200, "MessagesAreRead"),
    route(
        "GET",
        "/v1/users/{id}/stream",
        Some("users:read"),
        "Tell a user's balance and payouts as they change (text/event-stream)",
    )
    .with(&["Last-Event-ID"]),
    route(
        "POST",
        "/v1/users/{id}/link",
        Some("users:write"),
        "Begin to link a WeChat wallet",
    )
    .answers(201, "LinkStarted")
    .with(&["app", "scope"]),
    route(
        "POST",
        "/v1/users/{id}/link/code",
        Some("users:write"),
        "Link the wallet of whoever got a code in a mini program",
    )
    .takes("LinkCode")
    .answers(201, "UserLinks"),
    route(
        "POST",
        "/v1/users/{id}/link/unlink",
        Some("users:write"),
        "End a user's links, or the one with an app, because the user leaves",
    )
    .takes("LinkAct")
    .answers(200, "UserLinks"),
    route(
        "POST",
        "/v1/users/{id}/link/revoke",
        Some("payouts:operate"),
        "End a user's links, or the one with an app, for a person's reason",
    )
    .takes("LinkAct")
    .answers(200, "UserLinks"),
    route(
        "POST",
        "/v1/users/{id}/link/allow",
        Some("payouts:operate"),
        "Say yes to a wallet that several users share",
    )
    .takes("LinkAct")
    .answers(200, "UserLinks"),
    route(
        "POST",
        "/v1/users/{id}/link/refresh",
        Some("payouts:operate"),
        "Have the tokens of a link refreshed now",
    )
    .takes("LinkAct")
    .answers(200, "UserLinks"),
    route(
        "POST",
        "/v1/users/{id}/link/apply-authorization",
        Some("payouts:operate"),
        "Put on record who asks WeChat for an authorization, and why; the command of that name asks",
    )
    .takes("LinkAct")
    .answers(200, "UserLinks"),
    route(
        "POST",
        "/v1/users/{id}/link/close-authorization",
        Some("payouts:operate"),
        "Put on record who has an authorization closed, and why; the command of that name closes it",
    )
    .takes("LinkAct")
    .answers(200, "UserLinks"),
    route(
        "GET",
        "/v1/links",
        Some("users:read"),
        "List links of users with apps",
    )
    .answers(200, "Links")
    .with(&["standing", "app", "flagged", "limit", "cursor"]),
    route(
        "GET",
        "/oauth/wechat/callback",
        None,
        "Where WeChat sends the user back",
    )
    .with(&["state", "code"]),
    route(
        "POST",
        "/v1/events",
        Some("events:write"),
        "Credit earning events: one, an array, or JSON lines",
    )
    .takes("Events")
    .answers(200, "EventResults"),
    route(
        "POST",
        "/v1/withdrawals",
        Some("withdrawals:write"),
        "Set money aside for a payout",
    )
    .takes("Withdrawal")
    .answers(201, "Withdrawn")
    .with(&["Idempotency-Key"]),
    route(
        "GET",
        "/v1/payouts",
        Some("payouts:read"),
        "List payouts, newest first",
    )
    .answers(200, "Payouts")
    .with(&["state", "user", "limit", "cursor"]),
    route(
        "GET",
        "/v1/payouts/{id}",
        Some("payouts:read"),
        "Tell a payout's story",
    )
    .answers(200, "PayoutStory"),
    route(
        "GET",
        "/v1/payouts/{id}/confirm-page",
        Some("payouts:read"),
        "Give the address of the page on which the user confirms a payout",
    )
    .answers(200, "ConfirmPage"),
    route(
        "GET",
        "/confirm/{id}",
        None,
        "The page on which a user confirms a payout",
    ),
    route(
        "GET",
        "/confirm/{id}/state",
        None,
        "Where the payout of such a page stands",
    )
    .answers(200, "ConfirmState"),
    route(
        "GET",
        "/v1/payouts/{id}/receipt",
        Some("payouts:read"),
        "Get WeChat's electronic receipt (PDF); 202 while it is being made",
    ),
    route(
        "POST",
        "/v1/payouts/{id}/cancel",
        Some("payouts:write"),
        "Ask for a payout to be cancelled",
    )
    .answers(202, "Cancelling"),
    route(
        "POST",
        "/v1/payouts/{id}/approve",
        Some("payouts:approve"),
        "Approve a payout that waits for people",
    )
    .takes("Why")
    .answers(200, "Cancelling"),
    route(
        "POST",
        "/v1/payouts/{id}/refuse",
        Some("payouts:approve"),
        "End a payout before anything is sent",
    )
    .takes("Why")
    .answers(200, "Cancelling"),
    route(
        "POST",
        "/v1/payouts/{id}/resend",
        Some("payouts:operate"),
        "Send the same order again now",
    )
    .takes("Why")
    .answers(200, "Cancelling"),
    route(
        "POST",
        "/v1/payouts/{id}/mark-paid",
        Some("payouts:operate"),
        "End a stuck payout that a bill shows",
    )
    .takes("Why")
    .answers(200, "Cancelling"),
    route(
        "POST",
        "/v1/payouts/{id}/mark-unpaid",
        Some("payouts:operate"),
        "End a stuck payout that no closed bill shows",
    )
    .takes("Why")
    .answers(200, "Cancelling"),
    route(
        "GET",
        "/v1/stops",
        Some("payouts:read"),
        "List what is stopped",
    )
    .answers(200, "Stops"),
    route(
        "POST",
        "/v1/stops",
        Some("payouts:operate"),
        "Stop payouts: all, a merchant's, a scene's",
    )
    .takes("NewStop")
    .answers(200, "Stops"),
    route(
        "POST",
        "/v1/stops/lift",
        Some("payouts:operate"),
        "Lift a stop",
    )
    .takes("LiftedStop")
    .answers(200, "Stops"),
    route(
        "GET",
        "/v1/cases",
        Some("payouts:read"),
        "List what needs a person, the gravest first",
    )
    .answers(200, "Cases"),
    route(
        "GET",
        "/v1/deeds",
        Some("payouts:read"),
        "List what was done by hand, newest first",
    )
    .answers(200, "Deeds")
    .with(&["subject", "limit"]),
    route(
        "POST",
        "/hooks/wechat/transfer",
        None,
        "Where WeChat Pay announces the end of a transfer",
    ),
    route(
        "GET",
        "/v1/bills",
        Some("books:read"),
        "List reconciled bills",
    )
    .answers(200, "Bills"),
    route(
        "GET",
        "/v1/breaks",
        Some("books:read"),
        "List breaks, open and closed",
    )
    .answers(200, "Breaks"),
    route(
        "GET",
        "/v1/dead-letters",
        Some("books:read"),
        "List inputs that were not credited, without what they say",
    )
    .answers(200, "DeadLetters")
    .with(&["limit", "state"]),
    route(
        "GET",
        "/v1/dead-letters/{id}",
        Some("letters:read"),
        "Show an input that was not credited, with what it says",
    )
    .answers(200, "DeadLetter"),
    route(
        "POST",
        "/v1/dead-letters/{id}/replay",
        Some("letters:write"),
        "Credit an input that was not credited, as it came or mended",
    )
    .takes("LetterReplay")
    .answers(200, "LetterReplayed"),
    route(
        "POST",
        "/v1/dead-letters/{id}/discard",
        Some("letters:write"),
        "Let nothing come of an input that was not credited",
    )
    .takes("Why")
    .answers(200, "LetterDiscarded"),
    route(
        "GET",
        "/v1/summary",
        Some("books:read"),
        "The books in a few numbers",
    )
    .answers(200, "Summary"),
    route(
        "GET",
        "/v1/feed",
        Some("feed:read"),
        "What happened after a number, oldest first",
    )
    .answers(200, "Feed")
    .with(&["after", "limit"]),
    route(
        "GET",
        "/v1/webhooks",
        Some("webhooks:read"),
        "List endpoints of webhooks with their health",
    )
    .answers(200, "Webhooks"),
    route(
        "POST",
        "/v1/webhooks",
        Some("webhooks:write"),
        "Make an endpoint of webhooks; its secret is shown once",
    )
    .takes("NewWebhook")
    .answers(201, "WebhookWithSecret"),
    route(
        "GET",
        "/v1/webhooks/{id}",
        Some("webhooks:read"),
        "Show an endpoint of webhooks",
    )
    .answers(200, "Webhook"),
    route(
        "PATCH",
        "/v1/webhooks/{id}",
        Some("webhooks:write"),
        "Change an endpoint of webhooks, or turn it on or off",
    )
    .takes("WebhookChange")
    .answers(200, "Webhook"),
    route(
        "DELETE",
        "/v1/webhooks/{id}",
        Some("webhooks:write"),
        "Delete an endpoint of webhooks",
    )
    .answers(200, "WebhookDeleted"),
    route(
        "POST",
        "/v1/webhooks/{id}/rotate",
        Some("webhooks:write"),
        "Give an endpoint a new secret beside the present one",
    )
    .takes("WebhookRotation")
    .answers(200, "WebhookWithSecret"),
    route(
        "POST",
        "/v1/webhooks/{id}/test",
        Some("webhooks:write"),
        "Send an endpoint a signed sample now, and tell what came of it",
    )
    .answers(200, "WebhookTested"),
    route(
        "GET",
        "/v1/webhooks/{id}/deliveries",
        Some("webhooks:read"),
        "List what an endpoint did not take yet",
    )
    .answers(200, "Deliveries")
    .with(&["after", "limit"]),
    route(
        "POST",
        "/v1/webhooks/{id}/replay",
        Some("webhooks:write"),
        "Have notices delivered to an endpoint again",
    )
    .takes("WebhookReplay")
    .answers(200, "WebhookReplayed"),
    route("GET", "/healthz", None, "Whether the process lives"),
    route("GET", "/readyz", None, "Whether the store answers"),
    route(
        "GET",
        "/metrics",
        Some("metrics:read"),
        "Numbers for Prometheus",
    ),
    route(
        "GET",
        "/openapi.json",
        Some("metrics:read"),
        "This description",
    ),
];

/// The route of a method and a matched path. `HEAD` is answered as `GET` is, but where a `GET`
/// uses something up.
pub(crate) fn find(method: &str, path: &str) -> Option<&'static Route> {
    let idle = path != "/oauth/wechat/callback";
    let method = if method == "HEAD" && idle {
        "GET"
    } else {
        method
    };
    ROUTES
        .iter()
        .find(|route| route.method == method && route.path == path)
}

/// The path of a route, as the table writes it.
pub(crate) fn known(path: &str) -> Option<&'static str> {
    ROUTES
        .iter()
        .map(|route| route.path)
        .find(|known| *known == path)
}
