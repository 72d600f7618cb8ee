//! The flow over the in-memory store and a small WeChat that keeps its own word: what happens
//! when the process dies at any moment, and when messages are lost.

mod alerts;
mod copy;
mod crash;
mod desk;
mod lane;
mod links;
mod notify;
mod watch;
mod wechat;
mod world;
