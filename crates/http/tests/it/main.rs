//! The doors, driven as a caller drives them, over the twins.

mod acts;
mod auth;
mod books;
mod confirm;
mod details;
mod events;
mod hook;
mod kinds;
mod letters;
mod linking;
mod links;
mod messages;
mod numbers;
mod openapi;
mod overlap;
mod overload;
mod payouts;
mod problems;
mod streaming;
mod users;
mod webhooks;
mod wechat;
mod wire;
mod withdrawals;
mod world;
