use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// A database of a test's own.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) name: String,
}

/// The server under test.
pub(crate) fn server() -> String {
    std::env::var("CLINIC_TEST_POSTGRES")
        .expect("set CLINIC_TEST_POSTGRES=postgres://USER:PASSWORD@127.0.0.1:PORT/postgres, a server where databases may be made (tests/run starts one)")
}

/// The same address with another database.
pub(crate) fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, String::new()), |(address, query)| (address, format!("?{query}")));
    let (server, _) = address.rsplit_once('/').expect("the address names a database");
    format!("{server}/{name}{query}")
}

/// A plain connection.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server that CLINIC_TEST_POSTGRES names answers");
    tokio::spawn(connection);
    client
}

impl Place {
    pub(crate) async fn new() -> Self {
        let name = format!("clinic_{}", Uuid::now_v7().simple());
        let url = with_database(&server(), &name);
        connect(&server()).await.batch_execute(&format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")).await.unwrap();
        Self { url, name }
    }

    /// Removes the database, whoever is still connected.
    pub(crate) async fn remove(self) {
        connect(&server()).await.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
    }
}
