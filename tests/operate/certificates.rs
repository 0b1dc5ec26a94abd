//! People who show a certificate to the console instead of a password.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::SHOP_POLICY;
use super::support::certs::{Authority, Files};
use super::support::proxy::Proxy;
use super::support::shop;
use super::support::visitor::people;

struct Client {
    config: Arc<ClientConfig>,
    port: u16,
    cookie: Option<String>,
}

impl Client {
    fn new(proxy: &Proxy, site: &Authority, own: Option<&(String, String)>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(site.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        Self { config: Arc::new(config), port: proxy.admin_port, cookie: None }
    }

    /// Status and page; an error where the handshake fails.
    fn get(&mut self, path: &str) -> std::io::Result<(u16, String)> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", self.port))?);
        let cookie = self.cookie.as_ref().map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"));
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n{cookie}Connection: close\r\n\r\n", self.port)?;
        let mut answer = Vec::new();
        // Whoever closes without a word has said all there is.
        match stream.read_to_end(&mut answer) {
            Err(error) if answer.is_empty() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let mut cookies = answer.lines().filter(|line| line.to_ascii_lowercase().starts_with("set-cookie:"));
        if let Some(set) = cookies.next_back() {
            self.cookie = Some(set.split_once(':').unwrap().1.split(';').next().unwrap().trim().to_owned());
        }
        Ok((answer.split(' ').nth(1).unwrap().parse().unwrap(), answer))
    }
}

#[test]
fn whoever_shows_a_certificate_of_the_authority_is_in_and_nobody_else_is() {
    let files = Files::new();
    let (site, clients, strangers) = (Authority::new("site"), Authority::new("people"), Authority::new("people"));
    let (certificate, key) = site.sign("localhost");
    let [certificate, key, ca] =
        [("console.crt", certificate), ("console.key", key), ("people.crt", clients.pem.clone())]
            .map(|(name, text)| files.write(name, &text));
    // The officer's section stands last.
    let more = format!(
        "{}certificate = \"nomsa@shop.example\"\n[[admin.reviewers]]\nname = \"old\"\ncertificate = \"old@shop.example\"\n",
        people()
    );
    let admin = format!(
        "tls_cert = \"{}\"\ntls_key = \"{}\"\ntls_client_ca = \"{}\"\n",
        certificate.display(),
        key.display(),
        ca.display()
    );
    let sections = format!(
        "{admin}[upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n[auth]\nmethod = \"relay\"\n{more}",
        shop().socket_dir().display(),
        shop().port()
    );
    let proxy = Proxy::start_sections(SHOP_POLICY, "", &sections);
    let own = clients.sign("nomsa@shop.example");
    let mut officer = Client::new(&proxy, &site, Some(&own));
    let (status, answer) = officer.get("/").unwrap();
    assert!(status == 303 && answer.contains("; Secure"), "{answer}");
    let (status, page) = officer.get("/").unwrap();
    assert!(status == 200 && page.contains("nomsa, officer"), "{page}");
    let log_in = proxy.access_log().into_iter().find(|record| record["page"] == "log-in").unwrap();
    assert_eq!((&log_in["by"], &log_in["says"]), (&"nomsa".into(), &"certificate".into()));
    // Nobody's name, and none at all: there is the form.
    let other = clients.sign("sipho@shop.example");
    for own in [Some(&other), None] {
        let mut client = Client::new(&proxy, &site, own);
        assert_eq!(client.get("/").unwrap().0, 303);
        let (status, page) = client.get("/enter").unwrap();
        assert!(status == 200 && page.contains("name=\"password\""), "{page}");
        assert_eq!(client.get("/matrix").unwrap().0, 303);
    }
    // The right name of another authority, and one whose time is over: no page at all.
    let expired = clients.sign_for("old@shop.example", &["localhost"], 2020);
    for wrong in [strangers.sign("nomsa@shop.example"), expired] {
        let told = Client::new(&proxy, &site, Some(&wrong)).get("/");
        assert!(told.is_err(), "refused with the handshake: {told:?}");
    }
    // What asks about health needs none.
    assert_eq!(Client::new(&proxy, &site, None).get("/healthz").unwrap().0, 200);
}
