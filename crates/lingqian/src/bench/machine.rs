//! What the machine says: processor time, memory, bytes, and what others did meanwhile.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::bench::figures::Latencies;

/// The kernel counts processor time of others in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of this process so far, user and system, to the nanosecond.
pub(crate) fn own_time() -> Duration {
    time(ClockId::ProcessCPUTime)
}

/// The same of the calling thread alone.
pub(crate) fn thread_time() -> Duration {
    time(ClockId::ThreadCPUTime)
}

fn time(clock: ClockId) -> Duration {
    let spec = clock_gettime(clock);
    let (seconds, nanos) = (spec.tv_sec.unsigned_abs(), spec.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

fn ticks(count: u64) -> Duration {
    TICK.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What the kernel says about another process.
struct Stat {
    parent: u32,
    /// Processor time, user and system.
    used: Duration,
    /// The same of its children that ended.
    ended: Duration,
}

fn stat_of(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; the numbers follow it.
    let fields = text.rsplit(')').next()?.split_whitespace();
    let fields: Vec<&str> = fields.take(15).collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        used: ticks(number(11)? + number(12)?),
        ended: ticks(number(13)? + number(14)?),
    })
}

/// Processor time of another process so far, user and system.
pub(crate) fn time_of(process: u32) -> Option<Duration> {
    stat_of(process).map(|stat| stat.used)
}

/// The process that started another one.
pub(crate) fn parent_of(process: u32) -> Option<u32> {
    stat_of(process).map(|stat| stat.parent)
}

/// Processor time so far of a process and all that it started, those that ended among them.
fn time_of_family(process: u32) -> Option<Duration> {
    let own = stat_of(process)?;
    let all = fs::read_dir("/proc").ok()?.flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let stats = all.filter_map(stat_of);
    let children = stats.filter(|stat| stat.parent == process);
    Some(children.fold(own.used + own.ended, |sum, stat| sum + stat.used))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

/// Resident memory of this process in bytes, without the heap of its main thread: what a bench makes
/// up is there, and none of what a store's threads keep. Allocators that give all threads one heap
/// leave nothing to compare.
pub(crate) fn resident_beside_heap() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/smaps").ok()?;
    let (mut sum, mut is_heap) = (0, false);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next()? {
            "Rss:" if !is_heap => sum += words.next()?.parse::<u64>().ok()? * 1_024,
            range if range.contains('-') => is_heap = line.ends_with("[heap]"),
            _ => {}
        }
    }
    Some(sum)
}

/// The most memory that this process was ever resident in, in bytes.
pub(crate) fn peak() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

/// Bytes that this process caused to be written to storage so far.
fn written() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/io").ok()?;
    let line = text.lines().find(|line| line.starts_with("write_bytes:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How the processors spent their time so far: busy, taken away by the host, and all of it.
#[derive(Clone, Copy, Debug, Default)]
struct Processors {
    busy: Duration,
    stolen: Duration,
    all: Duration,
}

fn processors() -> Option<Processors> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let fields = text.lines().next()?.split_whitespace().skip(1);
    // user, nice, system, idle, iowait, irq, softirq, steal
    let times: Vec<u64> = fields
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let &[user, nice, system, idle, iowait, irq, softirq, steal] = times.as_slice() else {
        return None;
    };
    Some(Processors {
        busy: ticks(user + nice + system + irq + softirq),
        stolen: ticks(steal),
        all: ticks(user + nice + system + idle + iowait + irq + softirq + steal),
    })
}

/// A clock that runs only while something is measured, and counts what was used meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    began: Option<Began>,
    /// Time on the wall.
    wall: Duration,
    /// Processor time of this process.
    used: Duration,
    written: u64,
    others: Duration,
    stolen: Duration,
    all: Duration,
    /// Processor time of another process that is measured along.
    along: Duration,
    beside: Option<Beside>,
}

/// Who is measured along.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Process(u32),
    Family(u32),
}

#[derive(Clone, Copy, Debug)]
struct Began {
    at: Instant,
    used: Duration,
    written: u64,
    processors: Processors,
    along: Duration,
}

/// What the clock shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Time on the wall.
    pub(crate) wall: Duration,
    /// Processor time of this process.
    pub(crate) used: Duration,
}

impl Meter {
    /// A clock that counts another process as well.
    pub(crate) fn along(process: u32) -> Meter {
        Meter {
            beside: Some(Beside::Process(process)),
            ..Meter::default()
        }
    }

    /// A clock that counts another process and all that it started as well, where there is one.
    pub(crate) fn along_family(process: Option<u32>) -> Meter {
        Meter {
            beside: process.map(Beside::Family),
            ..Meter::default()
        }
    }

    fn along_time(&self) -> Duration {
        let time = self.beside.and_then(|beside| match beside {
            Beside::Process(process) => time_of(process),
            Beside::Family(process) => time_of_family(process),
        });
        time.unwrap_or_default()
    }

    /// Lets it run.
    pub(crate) fn start(&mut self) {
        self.began = Some(Began {
            processors: processors().unwrap_or_default(),
            written: written().unwrap_or_default(),
            along: self.along_time(),
            used: own_time(),
            at: Instant::now(),
        });
    }

    /// Stops it.
    pub(crate) fn stop(&mut self) {
        let reading = self.read();
        let Some(began) = self.began.take() else {
            return;
        };
        let now = processors().unwrap_or_default();
        let along = self.along_time().saturating_sub(began.along);
        let used = reading.used.saturating_sub(self.used);
        let busy = now.busy.saturating_sub(began.processors.busy);
        self.others += busy.saturating_sub(used + along);
        self.stolen += now.stolen.saturating_sub(began.processors.stolen);
        self.all += now.all.saturating_sub(began.processors.all);
        self.written += written().unwrap_or_default().saturating_sub(began.written);
        self.along += along;
        (self.wall, self.used) = (reading.wall, reading.used);
    }

    /// What it shows, running or not.
    pub(crate) fn read(&self) -> Reading {
        let running = self.began.map(|began| Reading {
            wall: began.at.elapsed(),
            used: own_time().saturating_sub(began.used),
        });
        let Reading { wall, used } = running.unwrap_or_default();
        Reading {
            wall: self.wall + wall,
            used: self.used + used,
        }
    }

    /// Bytes that were sent to storage while it ran.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Processor time of the others that are measured along while it ran, where there are some.
    pub(crate) fn along_used_if_any(&self) -> Option<Duration> {
        self.beside.map(|_| self.along)
    }

    /// The same, or none.
    pub(crate) fn along_used(&self) -> Duration {
        self.along
    }

    /// What of all processor time others used and the host took away, in per cent.
    pub(crate) fn others_percent(&self) -> (f64, f64) {
        let share = |part: Duration| 100.0 * part.as_secs_f64() / self.all.as_secs_f64().max(1e-9);
        (share(self.others), share(self.stolen))
    }
}

/// Bytes of all files right in a directory.
pub(crate) fn bytes_in(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| file.metadata().ok());
    sizes
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// So often the probe writes and syncs.
const PROBES: usize = 200;

/// Writes 4 KiB to the end of a file and syncs it, again and again.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn sync_probe(dir: &Path) -> std::io::Result<Latencies> {
    use std::io::Write as _;

    let path = dir.join("sync-probe");
    let mut file = fs::File::create(&path)?;
    let mut latencies = Latencies::default();
    for _ in 0..PROBES {
        let began = Instant::now();
        file.write_all(&[0x5a; 4_096])?;
        file.sync_data()?;
        latencies.add(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_stopped_stands() {
        let mut meter = Meter::default();
        meter.start();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        meter.stop();
        let first = meter.read();
        assert!(first.wall >= Duration::from_millis(30), "{first:?}");
        assert!(first.used >= Duration::from_millis(3), "{first:?}");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(meter.read().wall, first.wall);
        let process = std::process::id();
        let own = time_of(process).expect("a time");
        assert!(time_of_family(process).expect("a time") >= own);
        assert!(parent_of(process).is_some());
        assert!(resident(process).is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn what_other_threads_hold_is_resident_beside_the_heap() {
        const HELD: usize = 48 << 20;
        let before = resident_beside_heap().expect("this system tells");
        let held = std::thread::spawn(|| vec![1_u8; HELD]).join();
        let held = held.expect("held");
        let grown = resident_beside_heap().expect("this system tells") - before;
        assert!(
            (HELD as u64 / 2..HELD as u64 * 2).contains(&grown),
            "{grown}"
        );
        assert_eq!(held.last(), Some(&1));
    }
}
