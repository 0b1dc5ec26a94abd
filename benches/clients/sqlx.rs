//! sqlx through the proxy, under a purpose that masks.
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, Row};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run()).unwrap();
}

async fn run() -> Result<(), sqlx::Error> {
    let port = std::env::var("CLIENT_PORT").unwrap().parse().unwrap();
    let to = PgConnectOptions::new().host("127.0.0.1").port(port).username("app").database("app").options([("pgpurpose.purpose", "support")]);
    let mut one = PgConnection::connect_with(&to).await?;
    // Twice: prepared the first time, and described for its types.
    for _ in 0..2 {
        let row = sqlx::query("SELECT id, name, email FROM people WHERE id = $1").bind(1).fetch_one(&mut one).await?;
        assert_eq!((row.get::<i32, _>(0), row.get::<String, _>(1), row.get::<Option<String>, _>(2)), (1, "T*******".to_owned(), None));
    }
    one.close().await?;
    let pool = PgPoolOptions::new().max_connections(2).connect_with(to).await?;
    let mut block = pool.begin().await?;
    let title: String = sqlx::query_scalar("INSERT INTO jobs (title) VALUES ($1) RETURNING title").bind("x").fetch_one(&mut *block).await?;
    assert_eq!(title, "x");
    block.rollback().await?;
    assert_eq!(sqlx::query_scalar::<_, i64>("SELECT count(*) FROM jobs").fetch_one(&pool).await?, 0);
    let mut copied = pool.acquire().await?;
    let mut into = copied.copy_in_raw("COPY jobs (id, title) FROM STDIN").await?;
    into.send(&b"9\tcopied\n"[..]).await?;
    assert_eq!(into.finish().await?, 1);
    sqlx::query("DELETE FROM jobs").execute(&mut *copied).await?;
    let error = sqlx::query("SELECT notes FROM people").fetch_all(&pool).await.unwrap_err();
    assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"), "{error}");
    let error = sqlx::query("INSERT INTO jobs (id) VALUES (1), (1)").execute(&pool).await.unwrap_err();
    assert_eq!(error.as_database_error().and_then(|error| error.constraint()), Some("jobs_pkey"), "{error}");
    println!("{}", std::env::args().nth(1).unwrap_or_default());
    Ok(())
}
