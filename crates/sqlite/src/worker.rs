//! A thread with a connection of its own. SQLite blocks, so it never runs on the threads that
//! serve requests.

use std::sync::{Arc, Mutex, mpsc};

use lingqian_io::Fault;
use rusqlite::Connection;
use tokio::sync::oneshot;

type Task<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A handle to one or more threads that share a queue. The threads end with the last handle.
pub(crate) struct Workers<T> {
    tasks: mpsc::Sender<Task<T>>,
}

impl<T> Clone for Workers<T> {
    fn clone(&self) -> Self {
        Workers {
            tasks: self.tasks.clone(),
        }
    }
}

impl<T: Send + 'static> Workers<T> {
    /// Starts a thread for each of the states.
    pub(crate) fn start(name: &str, states: Vec<T>) -> Result<Workers<T>, Fault> {
        let (sender, receiver) = mpsc::channel::<Task<T>>();
        let receiver = Arc::new(Mutex::new(receiver));
        for mut state in states {
            let receiver = Arc::clone(&receiver);
            let run = move || {
                loop {
                    let task = match receiver.lock() {
                        Ok(receiver) => receiver.recv(),
                        Err(_) => return,
                    };
                    match task {
                        Ok(task) => task(&mut state),
                        Err(_) => return,
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("sqlite-{name}"));
            thread
                .spawn(run)
                .map_err(|error| Fault::Broken(format!("no thread: {error}")))?;
        }
        Ok(Workers { tasks: sender })
    }

    /// Runs a task on the next free thread, and does not wait for it.
    pub(crate) fn give(&self, task: impl FnOnce(&mut T) + Send + 'static) -> Result<(), Fault> {
        let gone = |_| Fault::Broken("the threads of the store are gone".into());
        self.tasks.send(Box::new(task)).map_err(gone)
    }

    /// Runs a task on the next free thread and waits for what it answers.
    pub(crate) async fn run<R, F>(&self, task: F) -> Result<R, Fault>
    where
        R: Send + 'static,
        F: FnOnce(&mut T) -> Result<R, Fault> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let task: Task<T> = Box::new(move |state| {
            // Nobody waits any more when the caller was dropped; the work stands.
            let _ = answer.send(task(state));
        });
        let gone = |_| Fault::Unknown("the thread of the store went down".into());
        self.tasks
            .send(task)
            .map_err(|_| Fault::Broken("the threads of the store are gone".into()))?;
        answered.await.map_err(gone)?
    }
}

/// A connection that only reads.
pub(crate) struct Reader(pub(crate) Connection);
