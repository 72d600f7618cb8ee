//! A folder.

use std::fs;

use lingqian_io::Fault;
use lingqian_io::files::{Shelf as _, Taken};
use lingqian_pickup::folder::Folder;

use crate::servers::take;

#[tokio::test]
async fn files_of_a_folder_are_taken_and_left_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = Folder::new(dir.path().to_owned());
    assert_eq!(
        take(&folder, "b.csv").await,
        Ok((Taken::Absent, Vec::new()))
    );
    fs::write(dir.path().join("b.csv"), "abc").expect("written");
    for _ in 0..2 {
        assert_eq!(
            take(&folder, "b.csv").await,
            Ok((Taken::Whole(3), b"abc".to_vec()))
        );
    }
    let mut into = tempfile::tempfile().expect("a file");
    let taken = folder.take("b.csv", &mut into, 2).await;
    assert!(matches!(taken, Err(Fault::Broken(words)) if words.contains("source_file_too_large")));
    let gone = Folder::new(dir.path().join("not mounted"));
    let taken = take(&gone, "b.csv").await;
    assert!(matches!(taken, Err(Fault::Retry(words)) if words.contains("source_failed")));
}
