//! Passwords that attackers try first.
//!
//! Lists of leaked passwords (OWASP ASVS 5.0, 6.2.4) are short on passwords of
//! twelve and more characters, and what they have is made by a few recipes: a
//! popular word with digits behind it, the word twice, a walk over the
//! keyboard. So the list here holds the words, and the code knows the recipes;
//! that covers far more than the list's length and costs the client's download
//! two kilobytes. It sets no rule of composition: a long phrase of any
//! characters passes.

/// Words and phrases that popular passwords are made of, in lower case.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "abc", "abcd", "access", "admin", "administrator", "alex", "alexander", "amanda", "america",
    "andrea", "andrew", "angel", "anthony", "apple", "arsenal", "ashley", "asshole", "august",
    "austin", "autumn", "azerty", "babygirl", "bailey", "banana", "barcelona", "baseball",
    "basketball", "batman", "beautiful", "blink", "bonjour", "buster", "butterfly", "carlos",
    "changeme", "charlie", "cheese", "chelsea", "chicken", "chocolate", "christ", "christian",
    "cisco", "company", "computer", "contrasena", "cookie", "correcthorsebatterystaple", "dallas",
    "daniel", "database", "december", "default", "demo", "diamond", "doctor", "dolphin", "dragon",
    "eagles", "elephant", "eminem", "example", "facebook", "family", "ferrari", "flower",
    "football", "forever", "freedom", "friday", "friends", "fuckyou", "gandalf", "ginger", "god",
    "golden", "google", "guest", "guitar", "hannah", "harley", "heaven", "hello", "helloworld",
    "hockey", "house", "hunter", "ihateyou", "iloveu", "iloveyou", "inlove", "internet", "iphone",
    "jasmine", "jennifer", "jessica", "jesus", "jesuschrist", "john", "jordan", "joseph",
    "joshua", "junior", "justin", "killer", "lakers", "letme", "letmein", "letmeinplease",
    "linkedin", "linux", "liverpool", "login", "london", "love", "lovely", "loveme", "loveyou",
    "maggie", "manchester", "marina", "market", "martin", "master", "matrix", "matthew",
    "mercedes", "michael", "michelle", "microsoft", "minecraft", "monday", "monkey", "monster",
    "motdepasse", "mother", "mustang", "mypassword", "myspace", "naruto", "newpassword", "nicole",
    "ninja", "nothing", "november", "october", "office", "oliver", "openup", "oracle", "orange",
    "parola", "pass", "passphrase", "passw", "passwd", "password", "passwort", "patrick",
    "peanut", "pepper", "pokemon", "postgres", "princess", "private", "purple", "qazwsx", "qwe",
    "qwer", "qwert", "qwerty", "qwertz", "rainbow", "ranger", "realmadrid", "richard", "robert",
    "rockyou", "root", "samantha", "sample", "samsung", "school", "secret", "senha", "september",
    "server", "shadow", "silver", "simple", "skywalker", "slipknot", "snoopy", "soccer",
    "spiderman", "spring", "starwars", "steelers", "strawberry", "student", "summer", "sunshine",
    "superman", "superstar", "system", "taylor", "teamo", "temp", "tequiero", "test", "testing",
    "thisismypassword", "thomas", "tigger", "tinkerbell", "trustno", "trustnoone", "twitter",
    "ubuntu", "user", "username", "victoria", "welcome", "whatever", "william", "windows",
    "winter", "yankees", "yellow", "zaq",
];

/// Rows, columns and alphabets that a finger or a mind walks along.
#[rustfmt::skip]
const WALKS: &[&str] = &[
    "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü", "azertyuiop", "1234567890-=",
    "01234567890", "abcdefghijklmnopqrstuvwxyz", "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "qazwsxedcrfvtgbyhnujmikolp",
    "q1w2e3r4t5y6u7i8o9p0", "zaq12wsxcde34rfvbgt56yhn", "!@#$%^&*()_+", "qweasdzxc", "147258369",
    "159753", "123321", "789456123",
];

/// The most digits and signs around a word that still make no better password of it.
const DECORATION: usize = 8;

/// Whether `password` is made by one of the recipes that attackers try first.
pub(crate) fn is_common(password: &str) -> bool {
    let lower: Vec<char> = password.to_ascii_lowercase().chars().collect();
    is_repetition(&lower) || is_made_of_walks(&lower) || is_decorated(&lower)
}

/// `p4$$w0rd` reads `password`.
fn unleet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// A unit of at most six characters, again and again: `aaaaaaaaaaaa`, `abc1abc1abc1`.
fn is_repetition(text: &[char]) -> bool {
    (1..=6).any(|unit| {
        text.len() >= 2 * unit && text.iter().zip(text.iter().skip(unit)).all(|(a, b)| a == b)
    })
}

/// Nothing but walks of three and more steps, in either direction: `qwertyuiop12`, `123456abcdef`.
fn is_made_of_walks(text: &[char]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let step = WALKS.iter().map(|walk| walk_length(walk, rest)).max().unwrap_or(0);
        // One short tail is allowed behind a walk: `qwertyuiop[]1`.
        if step < 3 {
            return rest.len() < 3 && rest.len() < text.len();
        }
        rest = rest.get(step..).unwrap_or_default();
    }
    true
}

/// How many characters of `text` go along `walk`, from wherever it joins it.
fn walk_length(walk: &str, text: &[char]) -> usize {
    let forth: Vec<char> = walk.chars().collect();
    let back: Vec<char> = walk.chars().rev().collect();
    let along = |way: &[char]| {
        (0..way.len())
            .map(|from| way.iter().skip(from).zip(text).take_while(|(a, b)| a == b).count())
            .max()
            .unwrap_or(0)
    };
    along(&forth).max(along(&back))
}

/// One or two of the words, repeated or not, with a few digits and signs around and between them.
fn is_decorated(text: &[char]) -> bool {
    // Fewest characters outside words for each prefix, with at most four words in all.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; text.len() + 1];
    if let Some(first) = best.first_mut() {
        *first = Some((0, 0));
    }
    for at in 0..text.len() {
        let Some((outside, words)) = best.get(at).copied().flatten() else { continue };
        let rest = text.get(at..).unwrap_or_default();
        if rest.first().is_some_and(|c| !c.is_alphabetic()) {
            improve(&mut best, at + 1, (outside + 1, words));
        }
        for word in WORDS {
            let length = word.chars().count();
            if words < 4
                && rest.len() >= length
                && word.chars().zip(rest).all(|(a, &b)| a == b || a == unleet(b))
            {
                improve(&mut best, at + length, (outside, words + 1));
            }
        }
    }
    best.last()
        .copied()
        .flatten()
        .is_some_and(|(outside, words)| words > 0 && outside <= DECORATION)
}

fn improve(best: &mut [Option<(usize, usize)>], at: usize, found: (usize, usize)) {
    if let Some(slot) = best.get_mut(at)
        && slot.is_none_or(|known| found < known)
    {
        *slot = Some(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_known() {
        for password in [
            "password1234",
            "Password123!",
            "P@ssw0rd1234",
            "passwordpassword",
            "123456789012",
            "qwertyuiop12",
            "qwertyuiop[]",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "aaaaaaaaaaaa",
            "abc123abc123",
            "iloveyou1234",
            "administrator",
            "admin1234567",
            "letmeinplease",
            "thisismypassword",
            "correcthorsebatterystaple",
            "987654321098",
            "Summer2026!!",
            "welcome12345",
            "football1234",
            "zxcvbnm12345",
            "abcdefghijkl",
            "000000000000",
            "michael12345",
            "changeme1234",
        ] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn phrases_and_random_text_pass() {
        for password in [
            "greaterthaneight",
            "greaterthanten",
            "correct staple of horses",
            "Xk7#mQ2$vL9pTz",
            "the password of my aunt",
            "seven lame badgers",
            "v0WmZr3tq8yLpA",
            "kindergarten-7",
            "ich mag Käse sehr",
            "mon chat est gris",
            "paper river candle",
        ] {
            assert!(!is_common(password), "{password}");
        }
    }
}
