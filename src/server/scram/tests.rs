#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

fn verifier(password: &str) -> Verifier {
    postgres_protocol::password::scram_sha_256(password.as_bytes()).parse().unwrap()
}

/// A whole exchange with the driver's own client.
fn exchange(password: &[u8], binding: ChannelBinding, plus: bool, end_point: Option<&[u8]>) -> Result<Keys, Wrong> {
    let mut client = ScramSha256::new(password, binding);
    let challenge = Challenge::new(client.message(), plus, end_point, verifier("geheim"), &nonce())
        .map_err(|_| Wrong::Malformed)?;
    client.update(challenge.first.as_bytes()).unwrap();
    let (last, keys) = challenge.answer(client.message())?;
    client.finish(last.as_bytes()).unwrap();
    Ok(keys)
}

#[test]
fn a_right_password_logs_in_with_and_without_channel_binding() {
    assert!(exchange(b"geheim", ChannelBinding::unsupported(), false, None).is_ok());
    assert!(exchange(b"geheim", ChannelBinding::unrequested(), false, None).is_ok());
    assert!(exchange(b"geheim", ChannelBinding::unsupported(), false, Some(b"cert")).is_ok());
    assert!(exchange(b"geheim", ChannelBinding::tls_server_end_point(b"cert".to_vec()), true, Some(b"cert")).is_ok());
}

#[test]
fn a_wrong_password_another_certificate_and_a_downgrade_do_not() {
    let bound = |to: &[u8]| ChannelBinding::tls_server_end_point(to.to_vec());
    assert_eq!(exchange(b"wrong", ChannelBinding::unsupported(), false, None).unwrap_err(), Wrong::Proof);
    assert_eq!(exchange(b"geheim", bound(b"mallory"), true, Some(b"cert")).unwrap_err(), Wrong::Malformed);
    // The offer of PLUS was taken away, PLUS was chosen without being offered, the mechanism and the header disagree.
    assert_eq!(exchange(b"geheim", ChannelBinding::unrequested(), false, Some(b"cert")).unwrap_err(), Wrong::Malformed);
    assert_eq!(exchange(b"geheim", bound(b"cert"), true, None).unwrap_err(), Wrong::Malformed);
    assert_eq!(exchange(b"geheim", bound(b"cert"), false, Some(b"cert")).unwrap_err(), Wrong::Malformed);
    assert_eq!(exchange(b"geheim", ChannelBinding::unsupported(), true, Some(b"cert")).unwrap_err(), Wrong::Malformed);
}

#[test]
fn a_replayed_proof_is_refused() {
    let mut client = ScramSha256::new(b"geheim", ChannelBinding::unsupported());
    let first = client.message().to_vec();
    let kept = verifier("geheim");
    let challenge = Challenge::new(&first, false, None, kept.clone(), &nonce()).unwrap();
    client.update(challenge.first.as_bytes()).unwrap();
    assert!(challenge.answer(client.message()).is_ok());
    let again = Challenge::new(&first, false, None, kept, &nonce()).unwrap();
    assert_eq!(again.answer(client.message()).unwrap_err(), Wrong::Malformed);
}

#[test]
fn the_keys_of_a_proof_log_in_at_a_server_with_the_same_verifier_only() {
    let kept = verifier("geheim");
    let mut client = ScramSha256::new(b"geheim", ChannelBinding::unsupported());
    let challenge = Challenge::new(client.message(), false, None, kept.clone(), &nonce()).unwrap();
    client.update(challenge.first.as_bytes()).unwrap();
    let (_, keys) = challenge.answer(client.message()).unwrap();

    let own = nonce();
    let bare = format!("n=,r={own}");
    let header = header(true, true);
    let upstream = Challenge::new(format!("{header}{bare}").as_bytes(), true, Some(b"db"), kept, &nonce()).unwrap();
    let salt = salted(&upstream.first, &own).unwrap();
    assert!(keys.fit(&salt));
    let (last, expected) = keys.prove(header, b"db", &bare, &upstream.first, &salt);
    let (answer, _) = upstream.answer(last.as_bytes()).unwrap();
    assert!(is_expected(answer.as_bytes(), &expected));
    assert!(!is_expected(b"v=", &expected));

    let other =
        Challenge::new(format!("{header}{bare}").as_bytes(), true, Some(b"db"), verifier("geheim"), &nonce()).unwrap();
    assert!(!keys.fit(&salted(&other.first, &own).unwrap()), "another salt");
    assert!(salted(&upstream.first, "another nonce").is_none());
}

#[test]
fn the_keys_of_a_password_make_postgresql_s_verifier() {
    let kept = verifier("pässwörd");
    let keys = Keys::of_password("pässwörd", &kept.salt, kept.rounds).unwrap();
    assert_eq!(keys.verifier().parse::<Verifier>().unwrap(), kept);
    assert!(Keys::of_password("x", b"salt", 0).is_none() && Keys::of_password("x", b"salt", u32::MAX).is_none());
}

#[test]
fn a_mock_verifier_is_always_the_same_for_a_name() {
    let secret = [7; DIGEST];
    let mock = |login: &str| super::mock(&secret, login, &Shapes::default());
    assert_eq!(mock("nobody"), mock("nobody"));
    assert_ne!(mock("nobody").salt, mock("someone").salt);
    assert_eq!((mock("x").salt.len(), mock("x").rounds), (16, 4096));
}

#[test]
fn mock_verifiers_have_the_shapes_of_real_ones_as_often() {
    let real = |rounds, salt: usize| Verifier::new(vec![1; salt], rounds, [0; DIGEST], [0; DIGEST]);
    let shapes = Shapes::of(&[real(4096, 16), real(4096, 16), real(4096, 16), real(10_000, 40)]);
    let made: Vec<_> = (0..1000).map(|number| mock(&[7; DIGEST], &format!("login{number}"), &shapes)).collect();
    assert!(made.iter().all(|one| [(4096, 16), (10_000, 40)].contains(&(one.rounds, one.salt.len()))));
    let rare = made.iter().filter(|one| one.rounds == 10_000).count();
    assert!((200..300).contains(&rare), "a quarter: {rare}");
    // The database changes the rounds of everybody: whoever is not there seems to have changed the password.
    let later = mock(&[7; DIGEST], "login1", &Shapes::of(&[real(20_000, 16)]));
    assert_ne!(later.salt, made[1].salt);
}

proptest::proptest! {
    #[test]
    fn random_messages_never_panic(first: Vec<u8>, last: Vec<u8>, text: String) {
        let _ = Challenge::new(&first, false, None, verifier("x"), "n");
        let _ = Challenge::new(b"n,,n=,r=abc", false, None, mock(&[0; DIGEST], "x", &Shapes::default()), "n").unwrap().answer(&last);
        let _ = salted(&text, "");
    }
}
