//! Who is signed in, here and in the person's other tabs.
//!
//! The access token lives in memory only; the refresh token in an `HttpOnly` cookie,
//! which no script can read. So a reload asks for a new access token, and [`hint`]
//! says whether that is worth a request. Tabs share one cookie, whose token is good
//! for one refresh: [`lock`] lets one tab at a time refresh, and [`tabs`] tells the
//! others the outcome, so that they need not.

mod hint;
mod lock;
mod tabs;
mod token;

use std::time::Duration;

use contract::{ErrorCode, Login, Tokens, User, paths};
use leptos::{prelude::*, task::spawn_local};

use self::{
    tabs::{News, Tabs},
    token::Token,
};
use crate::{
    api::{Error, Request, Response, Result},
    browser,
    messages::{Kind, Messages},
    reading::Pauses,
};

const ENDED: &str = "Your session has ended. Please log in again.";
const LOGGED_OUT: &str = "You have logged out.";

/// Who the person is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Signed in before a reload; whether still, the API is being asked.
    Restoring,
    /// Not signed in.
    Guest,
    /// Signed in as this user.
    SignedIn(User),
}

/// The person's session. A handle: copies are the same session.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    identity: RwSignal<Identity>,
    /// Set when a session was over without the person having said so.
    ended: RwSignal<bool>,
    /// Set when the API could not say who the person is.
    away: RwSignal<bool>,
    token: StoredValue<Option<Token>>,
    tabs: StoredValue<Tabs, LocalStorage>,
    messages: Messages,
}

impl Session {
    /// Takes up the session that was there before the reload, if there was one.
    pub(crate) fn start(messages: Messages) -> Self {
        let session = Self {
            identity: RwSignal::new(Identity::Restoring),
            ended: RwSignal::new(false),
            away: RwSignal::new(false),
            token: StoredValue::new(None),
            tabs: StoredValue::new_local(Tabs::none()),
            messages,
        };
        session.tabs.set_value(Tabs::open(move |news| session.hear(news)));
        spawn_local(session.restore());
        session
    }

    /// Who the person is; reactive.
    pub(crate) fn identity(self) -> Identity {
        self.identity.get()
    }

    /// The user, if signed in; reactive.
    pub(crate) fn user(self) -> Option<User> {
        match self.identity.get() {
            Identity::SignedIn(user) => Some(user),
            Identity::Restoring | Identity::Guest => None,
        }
    }

    /// Whether the API is away, and so cannot say who the person is; reactive.
    pub(crate) fn is_waiting_for_the_api(self) -> bool {
        self.away.get() && self.identity.get() == Identity::Restoring
    }

    /// Whether the person's session is over and nobody has led them to the sign-in yet; reactive.
    pub(crate) fn has_ended(self) -> bool {
        self.ended.get()
    }

    /// The person is being led to the sign-in.
    pub(crate) fn end_is_noticed(self) {
        self.ended.set(false);
    }

    /// The signed-in user has changed: another name, another address.
    pub(crate) fn user_changed(self, user: User) {
        self.tabs.with_value(|tabs| tabs.tell(&News::UserChanged(user.clone())));
        self.identity.set(Identity::SignedIn(user));
    }

    /// Signs in.
    pub(crate) async fn sign_in(self, login: &Login) -> Result<()> {
        let (token, status) = {
            let _turn = lock::acquire().await;
            let tokens: Tokens = Request::post(paths::LOGIN)
                .json(login)?
                .with_cookie()
                .send(None)
                .await?
                .json()
                .await?;
            let token = Token::new(tokens);
            hint::set(token.expires_at);
            let status = Request::get(paths::STATUS).send(Some(&token.access)).await;
            (token, status)
        };
        let user = match status {
            Ok(status) => status.json::<User>().await?,
            // They are signed in, and the API has yet to say who they are.
            Err(error) if error.is_temporary() => {
                self.token.set_value(Some(token));
                self.identity.set(Identity::Restoring);
                spawn_local(self.restore());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.tabs.with_value(|tabs| {
            tabs.tell(&News::SignedIn { token: token.clone(), user: user.clone() });
        });
        self.adopt(token, user);
        self.messages.carry(Kind::Success, "You have logged in successfully.");
        Ok(())
    }

    /// Signs out here, or `everywhere` that the person is signed in.
    ///
    /// # Errors
    /// Where the API cannot be told, the person stays signed in: the cookie is still good.
    pub(crate) async fn sign_out(self, everywhere: bool) -> Result<()> {
        let path = if everywhere { format!("{}?all", paths::LOGOUT) } else { paths::LOGOUT.into() };
        match self.send_unguarded(&Request::post(&path).with_cookie()).await {
            // This session had ended before, and so could end none of the others.
            Err(failure) if everywhere && failure.token_refused => {
                self.end(failure.token.as_ref());
                return Ok(());
            }
            // Unknown to the API is signed out as well.
            Ok(_) | Err(Failure { token_refused: true, .. }) => {}
            // Another tab was quicker, and has told.
            Err(Failure { error: Error::SignedOut, .. }) => return Ok(()),
            Err(failure) => return Err(failure.error),
        }
        self.tabs.with_value(|tabs| tabs.tell(&News::SignedOut));
        self.forget();
        self.messages.carry(Kind::Success, LOGGED_OUT);
        Ok(())
    }

    /// The person's account is gone, and every session with it.
    pub(crate) fn account_removed(self) {
        self.tabs.with_value(|tabs| tabs.tell(&News::SignedOut));
        self.forget();
    }

    /// Sends a request in the person's name; as a guest, if that is what they are.
    ///
    /// An access token that has expired, or is about to, is renewed first; a session
    /// that the API no longer knows ends here, too.
    pub(crate) async fn send(self, request: Request) -> Result<Response> {
        self.send_unguarded(&request).await.map_err(|failure| {
            if failure.token_refused {
                self.end(failure.token.as_ref());
                return Error::SignedOut;
            }
            failure.error
        })
    }

    async fn send_unguarded(self, request: &Request) -> std::result::Result<Response, Failure> {
        let Some(token) = self.token.get_value() else {
            return request.send(None).await.map_err(Failure::of_a_guest);
        };
        let token = if token.is_stale() { self.renew(token).await? } else { token };
        match request.send(Some(&token.access)).await {
            Err(error) if error.code() == Some(ErrorCode::TokenExpired) => {
                // This device's clock and the API's disagree. Once: a second
                // refusal has another reason.
                let token = self.renew(token).await?;
                let sent = request.send(Some(&token.access)).await;
                sent.map_err(|error| Failure::new(error, token))
            }
            sent => sent.map_err(|error| Failure::new(error, token)),
        }
    }

    /// A token to use in place of `old`, from whichever tab gets it first.
    async fn renew(self, old: Token) -> std::result::Result<Token, Failure> {
        let owner = self.user_id();
        let _turn = lock::acquire().await;
        // A tab that has just renewed has left a later hint, and its news is on the way.
        let mut patience = 20;
        while hint::expires_at().is_some_and(|at| at > old.expires_at)
            && self.token.get_value().as_ref() == Some(&old)
            && patience > 0
        {
            browser::sleep(Duration::from_millis(50)).await;
            patience -= 1;
        }
        if let Some(token) = self.replacement(&old, owner)? {
            return Ok(token);
        }
        let refreshed = refresh().await;
        if let Some(token) = self.replacement(&old, owner)? {
            return Ok(token);
        }
        match refreshed {
            Ok(token) => {
                hint::set(token.expires_at);
                self.tabs.with_value(|tabs| tabs.tell(&News::Renewed(token.clone())));
                self.keep(token.clone());
                Ok(token)
            }
            // It is renewed a little early: it may still be good for this request.
            Err(error) if !error.refuses_token() && !old.has_expired() => Ok(old),
            Err(error) => Err(Failure::new(error, old)),
        }
    }

    /// The token that has taken the place of `old`, if one has; a failure if `owner`
    /// is not signed in any more.
    fn replacement(
        self,
        old: &Token,
        owner: Option<i64>,
    ) -> std::result::Result<Option<Token>, Failure> {
        match self.token.get_value() {
            Some(token) if token == *old => Ok(None),
            Some(token) if self.user_id() == owner => Ok(Some(token)),
            _ => Err(Failure::of_a_guest(Error::SignedOut)),
        }
    }

    /// The user's number, if signed in; not reactive.
    pub(crate) fn user_id(self) -> Option<i64> {
        self.identity.with_untracked(|identity| match identity {
            Identity::SignedIn(user) => Some(user.id),
            Identity::Restoring | Identity::Guest => None,
        })
    }

    /// After a reload.
    async fn restore(self) {
        if !hint::is_set() {
            self.identity.set(Identity::Guest);
            return;
        }
        self.away.set(false);
        let mut pauses = Pauses::new();
        loop {
            let restored = self.try_to_restore().await;
            if self.identity.get_untracked() != Identity::Restoring {
                return;
            }
            match restored {
                Ok((token, user)) => return self.adopt(token, user),
                Err(error) if error.refuses_token() => {
                    self.forget();
                    return self.messages.carry(Kind::Failure, ENDED);
                }
                Err(error) => {
                    self.away.set(true);
                    pauses.pass(&error).await;
                }
            }
        }
    }

    async fn try_to_restore(self) -> Result<(Token, User)> {
        let known = self.token.get_value().filter(|token| !token.is_stale());
        let token = match known {
            Some(token) => token,
            None => {
                let _turn = lock::acquire().await;
                let token = refresh().await?;
                if self.identity.get_untracked() != Identity::Restoring {
                    // Another tab has signed in or out meanwhile.
                    return Err(Error::SignedOut);
                }
                hint::set(token.expires_at);
                self.tabs.with_value(|tabs| tabs.tell(&News::Renewed(token.clone())));
                self.token.set_value(Some(token.clone()));
                token
            }
        };
        let status = Request::get(paths::STATUS).send(Some(&token.access)).await?;
        Ok((token, status.json().await?))
    }

    /// Another tab says something.
    fn hear(self, news: News) {
        let identity = self.identity.get_untracked();
        match news {
            News::SignedIn { token, user } => {
                self.messages.clear();
                self.adopt(token, user);
            }
            // A guest is no longer concerned: the tab that tells has not heard of the sign-out yet.
            News::Renewed(token) if identity != Identity::Guest => self.keep(token),
            News::UserChanged(user) if matches!(identity, Identity::SignedIn(_)) => {
                self.identity.set(Identity::SignedIn(user));
            }
            News::SignedOut if identity != Identity::Guest => {
                self.forget();
                self.messages.carry(Kind::Success, LOGGED_OUT);
            }
            News::Ended if identity != Identity::Guest => self.say_it_ended(),
            News::SomebodySignedIn if identity == Identity::Guest => {
                self.identity.set(Identity::Restoring);
                spawn_local(self.restore());
            }
            News::Renewed(_)
            | News::UserChanged(_)
            | News::SignedOut
            | News::Ended
            | News::SomebodySignedIn => {}
        }
    }

    fn adopt(self, token: Token, user: User) {
        self.keep(token);
        self.ended.set(false);
        self.identity.set(Identity::SignedIn(user));
    }

    /// Keeps `token`, and renews it in time: a session that was ended elsewhere is
    /// noticed, and no click has to wait for a refresh.
    fn keep(self, token: Token) {
        self.token.set_value(Some(token.clone()));
        spawn_local(async move {
            browser::sleep(token.time_until_stale()).await;
            // A tab that nobody looks at must not keep an idle session alive: it
            // renews when it is used again.
            if browser::is_visible() && self.token.get_value().is_some_and(|now| now == token) {
                let renewed = self.renew(token).await;
                if let Err(Failure { token_refused: true, token, .. }) = renewed {
                    self.end(token.as_ref());
                }
            }
        });
    }

    fn forget(self) {
        hint::clear();
        self.token.set_value(None);
        self.identity.set(Identity::Guest);
    }

    /// The API no longer knows the session of `token`.
    fn end(self, token: Option<&Token>) {
        // Not if the person has signed in anew since.
        if token.is_some() && self.token.get_value().as_ref() == token {
            self.tabs.with_value(|tabs| tabs.tell(&News::Ended));
            self.say_it_ended();
        }
    }

    fn say_it_ended(self) {
        self.forget();
        self.messages.carry(Kind::Failure, ENDED);
        self.ended.set(true);
    }
}

/// Exchanges the cookie for a new one and an access token.
async fn refresh() -> Result<Token> {
    let tokens = Request::post(paths::REFRESH).with_cookie().send(None).await?;
    Ok(Token::new(tokens.json().await?))
}

/// Why a request in the person's name failed.
struct Failure {
    error: Error,
    /// The token that was used.
    token: Option<Token>,
    /// Whether the API says that its session is over.
    token_refused: bool,
}

impl Failure {
    fn new(error: Error, token: Token) -> Self {
        let token_refused = error.refuses_token();
        Self { error, token: Some(token), token_refused }
    }

    fn of_a_guest(error: Error) -> Self {
        Self { error, token: None, token_refused: false }
    }
}
