//! SIGKILL at any moment: a child process stores and prints what was acknowledged, the parent
//! kills it, again and again on the same folder, and then asks for every byte.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kinora_store::Axis;

use super::chance::Chance;
use super::harness::*;

const FOLDER: &str = "KINORA_TEST_STORE_FOLDER";
const STREAMS: [&str; 3] = ["a", "b", "c"];

/// What the child runs. It ends only by being killed.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn child() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let store = open(&folder);
    assert_eq!(store.recovery().damages, []);
    let streams: Vec<_> = STREAMS.iter().map(|text| store.create_stream(&name(text)).unwrap()).collect();
    let mut writers: Vec<_> = streams.iter().map(writer).collect();
    let mut out = std::io::stdout().lock();
    let mut round = 0;
    loop {
        let mut promised = Vec::new();
        for (writer, text) in writers.iter_mut().zip(STREAMS) {
            // The number is new in every life of the process, and so is the content.
            let seed = writer_seed(text, round);
            let begun = writer_number(writer, seed);
            let take =
                Take::at(begun as i64 * 1000, payload(begun * 31 + 7, 500 + (begun as usize * 37) % 3000));
            let finished = put(writer, &take).unwrap();
            promised.push((text, finished));
        }
        for (text, finished) in promised {
            let fragment = finished.fragment;
            wait(finished.durable).unwrap();
            let seed = fragment.producer_time.micros_since(START) / 1_000_000;
            writeln!(out, "ack {text} {} {seed}", fragment.number).unwrap();
        }
        out.flush().unwrap();
        round += 1;
    }
}

fn writer_seed(text: &str, round: u64) -> u64 {
    round + u64::from(text.as_bytes()[0])
}

/// A number that no other fragment of the stream was made from: the next fragment's own.
fn writer_number(writer: &mut kinora_store::StreamWriter, seed: u64) -> u64 {
    let probe = Take::at(-1 - seed as i64, payload(0, 1));
    let kinora_store::Begun::Live(number) = begin(writer, &probe).unwrap() else { panic!("a new time") };
    writer.abandon();
    number.get()
}

#[test]
fn nothing_acknowledged_is_lost_by_killing() {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance(2);
    let mut acked: BTreeMap<(String, u64), u64> = BTreeMap::new();
    const KILLS: usize = 12;
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 1 + chance.below(120);
        let mut see = |line: &str| {
            let fields: Vec<_> = line.split(' ').collect();
            let Some(at) = fields.iter().position(|field| *field == "ack") else { return false };
            // The last line may have been cut by the kill.
            let Some([stream, number, seed]) = fields.get(at + 1..at + 4) else { return false };
            let (Ok(number), Ok(seed)) = (number.parse(), seed.parse()) else { return false };
            acked.insert((stream.to_string(), number), seed);
            true
        };
        while left > 0 {
            let line = lines.next().expect("the child goes on until it is killed").unwrap();
            left -= usize::from(see(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        // The very last line may lack its end without looking so.
        rest.pop();
        for line in &rest {
            see(line);
        }
    }
    let store = open(folder.path());
    assert_eq!(store.recovery().damages, []);
    let mut served = 0;
    for text in STREAMS {
        let stream = store.stream(&name(text)).unwrap();
        let listed = stream.fragments(&everything(Axis::Arrival)).unwrap();
        served += listed.len();
        for ((_, number), seed) in acked.iter().filter(|((stream, _), _)| stream == text) {
            let fragment = listed.iter().find(|f| f.number.get() == *number);
            let fragment = fragment.unwrap_or_else(|| panic!("fragment {number} of {text} is lost"));
            let expected = payload(seed * 31 + 7, 500 + (*seed as usize * 37) % 3000);
            assert_eq!(read(&stream, fragment), expected);
        }
    }
    println!("| kill -9 of a store | {KILLS} kills | {} | {served} fragments | 0 lost |", acked.len());
    assert!(acked.len() >= KILLS);
}
