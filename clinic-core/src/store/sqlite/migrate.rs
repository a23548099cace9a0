//! Migrations: SQL files in order, the version in `user_version`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// One file a version, from 1.
pub(super) const VERSIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema2.sql"), include_str!("schema3.sql")];

/// Brings the file to the newest version. Several processes may do so at once: each looks again under the write lock.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let known = VERSIONS.len();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    if found as usize > known {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known: known as u32 });
    }
    for sql in &VERSIONS[found as usize..] {
        transaction.execute_batch(sql).map_err(sqlite)?;
    }
    transaction.pragma_update(None, "user_version", known as u32).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_the_first_version_is_brought_up_to_date() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(VERSIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let job = "INSERT INTO job (id, kind, booking, due_at, next_look) VALUES (zeroblob(16), 'decide', zeroblob(16), 0, 0)";
        connection.execute(job, []).unwrap();
        migrate(&mut connection, Path::new("here")).unwrap();
        let by_message: bool = connection.query_row("SELECT by_message FROM job", [], |row| row.get(0)).unwrap();
        assert!(!by_message);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("here")).unwrap();
        migrate(&mut connection, Path::new("here")).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(migrate(&mut connection, Path::new("here")), Err(OpenError::NewerSchema { found: 999, .. })));
    }
}
