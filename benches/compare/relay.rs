//! The limit: the smallest program that copies bytes both ways. It runs as a process of its own, so that its CPU can be told
//! from everything else's: this bench starts itself again with [`ASKED`] in its environment.

use std::path::PathBuf;
use std::thread;

use socket2::{Domain, Socket, Type};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

/// `PORT,PATH`: copies between 127.0.0.1:PORT and the Unix socket at PATH.
pub(crate) const ASKED: &str = "PGPURPOSE_BENCH_RELAY";

/// Relays for ever, as the proxy does: one runtime a core, all with the same port.
pub(crate) fn run(asked: &str) {
    let (port, path) = asked.split_once(',').unwrap();
    let (port, path): (u16, PathBuf) = (port.parse().unwrap(), path.into());
    let threads: Vec<_> = (0..thread::available_parallelism().unwrap().get())
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                LocalSet::new().block_on(&runtime, serve(port, path));
            })
        })
        .collect();
    // Its standard input is a pipe that closes when the bench ends, however that ends.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    drop(threads);
}

async fn serve(port: u16, path: PathBuf) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.listen(1024).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    while let Ok((mut client, _)) = listener.accept().await {
        client.set_nodelay(true).unwrap();
        let path = path.clone();
        spawn_local(async move {
            let Ok(mut server) = UnixStream::connect(path).await else { return };
            // A client that goes away without a word is no fault of the relay's.
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
