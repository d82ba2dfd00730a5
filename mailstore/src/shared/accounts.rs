//! Accounts and aliases: asked of the host, or answered here where this process is the host.

use async_trait::async_trait;
use mailwire::address::Mailbox;
use mailwire::sasl::ScramKeys;
use mailwire::secret::Secret;

use super::member::{Member, Way, ask, foreign};
use super::request::{
    AccountText, AdministrationRequest, AliasText, DirectoryRequest, FilingText, LoginText, Request,
    ScramKeysText, UsageText,
};
use crate::{
    Account, AccountUsage, Addresses, Administration, AdministrationError, Alias, CommonRules, Detail,
    Directory, Filing, Login, MaildropId, OwnRules, Quota, Recipient, Unavailable, WithMail,
};

#[async_trait]
impl Directory for Member {
    async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
    ) -> Result<Option<Login>, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.authenticate(login, password).await,
            Way::Host(connection) => connection,
        };
        let (login, password) = (login.to_owned(), password.expose().clone());
        let request = Request::Directory(DirectoryRequest::Authenticate { login, password });
        let found: Result<Option<LoginText>, Unavailable> = ask(connection, request).await?;
        found?.map(|login| login.login().ok_or_else(foreign)).transpose()
    }

    async fn account(&self, login: &str) -> Result<Option<Login>, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.account(login).await,
            Way::Host(connection) => connection,
        };
        let request = Request::Directory(DirectoryRequest::Account { login: login.to_owned() });
        let found: Result<Option<LoginText>, Unavailable> = ask(connection, request).await?;
        found?.map(|login| login.login().ok_or_else(foreign)).transpose()
    }

    async fn scram_keys(&self, login: &str) -> Result<ScramKeys, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.scram_keys(login).await,
            Way::Host(connection) => connection,
        };
        let request = Request::Directory(DirectoryRequest::ScramKeys { login: login.to_owned() });
        let found: Result<ScramKeysText, Unavailable> = ask(connection, request).await?;
        Ok(found?.into())
    }

    async fn recipient(&self, mailbox: &Mailbox, octets: u64) -> Result<Recipient, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.recipient(mailbox, octets).await,
            Way::Host(connection) => {
                let mailbox = mailbox.to_string();
                ask(connection, Request::Directory(DirectoryRequest::Recipient { mailbox, octets })).await?
            }
        }
    }

    async fn may_send_as(&self, account: &Account, mailbox: &Mailbox) -> Result<bool, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.may_send_as(account, mailbox).await,
            Way::Host(connection) => {
                let (account, mailbox) = (account.into(), mailbox.to_string());
                ask(connection, Request::Directory(DirectoryRequest::MaySendAs { account, mailbox })).await?
            }
        }
    }

    async fn filing(&self, maildrop: MaildropId) -> Result<Option<Filing>, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.filing(maildrop).await,
            Way::Host(connection) => connection,
        };
        let request = Request::Directory(DirectoryRequest::Filing { maildrop });
        let found: Result<Option<FilingText>, Unavailable> = ask(connection, request).await?;
        found?.map(|filing| filing.filing().ok_or_else(foreign)).transpose()
    }

    async fn forwarding_secret(&self) -> Result<Secret<[u8; 32]>, Unavailable> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.forwarding_secret().await,
            Way::Host(connection) => connection,
        };
        let request = Request::Directory(DirectoryRequest::ForwardingSecret);
        let found: Result<[u8; 32], Unavailable> = ask(connection, request).await?;
        found.map(Secret::new)
    }

    async fn common_rules(&self) -> Result<CommonRules, Unavailable> {
        match self.way().await? {
            Way::Here(core) => core.common_rules().await,
            Way::Host(connection) => {
                ask(connection, Request::Directory(DirectoryRequest::CommonRules)).await?
            }
        }
    }
}

#[async_trait]
impl Administration for Member {
    async fn accounts(&self) -> Result<Vec<Account>, AdministrationError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.accounts().await,
            Way::Host(connection) => connection,
        };
        let request = Request::Administration(AdministrationRequest::Accounts);
        let accounts: Result<Vec<AccountText>, AdministrationError> = ask(connection, request).await?;
        let accounts: Option<_> = accounts?.into_iter().map(AccountText::account).collect();
        Ok(accounts.ok_or_else(foreign)?)
    }

    async fn add_account(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<Account, AdministrationError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.add_account(address, password).await,
            Way::Host(connection) => connection,
        };
        let (address, password) = (address.to_string(), password.expose().clone());
        let request = Request::Administration(AdministrationRequest::AddAccount { address, password });
        let added: Result<AccountText, AdministrationError> = ask(connection, request).await?;
        Ok(added?.account().ok_or_else(foreign)?)
    }

    async fn remove_account(&self, address: &Mailbox) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.remove_account(address).await,
            Way::Host(connection) => {
                let address = address.to_string();
                ask(connection, Request::Administration(AdministrationRequest::RemoveAccount { address }))
                    .await?
            }
        }
    }

    async fn set_password(
        &self,
        address: &Mailbox,
        password: &Secret<String>,
    ) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.set_password(address, password).await,
            Way::Host(connection) => {
                let (address, password) = (address.to_string(), password.expose().clone());
                let request = AdministrationRequest::SetPassword { address, password };
                ask(connection, Request::Administration(request)).await?
            }
        }
    }

    async fn set_quota(&self, address: &Mailbox, quota: Option<Quota>) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.set_quota(address, quota).await,
            Way::Host(connection) => {
                let address = address.to_string();
                let request = AdministrationRequest::SetQuota { address, quota };
                ask(connection, Request::Administration(request)).await?
            }
        }
    }

    async fn set_rules(&self, address: &Mailbox, own: OwnRules) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.set_rules(address, own).await,
            Way::Host(connection) => {
                let address = address.to_string();
                let request = AdministrationRequest::SetRules { address, own };
                ask(connection, Request::Administration(request)).await?
            }
        }
    }

    async fn usage(&self) -> Result<Vec<AccountUsage>, AdministrationError> {
        let mut all = Vec::new();
        loop {
            let connection = match self.way().await? {
                Way::Here(core) => return core.usage().await,
                Way::Host(connection) => connection,
            };
            let request = AdministrationRequest::Usage { from: all.len() as u64 };
            let page: Result<Vec<UsageText>, AdministrationError> =
                ask(connection, Request::Administration(request)).await?;
            let page: Option<Vec<_>> = page?.into_iter().map(UsageText::usage).collect();
            let page = page.ok_or_else(foreign)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    async fn add_maildrop(&self, address: &Mailbox, detail: &Detail) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.add_maildrop(address, detail).await,
            Way::Host(connection) => {
                let (address, detail) = (address.to_string(), detail.clone());
                let request = AdministrationRequest::AddMaildrop { address, detail };
                ask(connection, Request::Administration(request)).await?
            }
        }
    }

    async fn remove_maildrop(
        &self,
        address: &Mailbox,
        detail: &Detail,
        with_mail: WithMail,
    ) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.remove_maildrop(address, detail, with_mail).await,
            Way::Host(connection) => {
                let (address, detail) = (address.to_string(), detail.clone());
                let request = AdministrationRequest::RemoveMaildrop { address, detail, with_mail };
                ask(connection, Request::Administration(request)).await?
            }
        }
    }

    async fn aliases(&self) -> Result<Vec<Alias>, AdministrationError> {
        let connection = match self.way().await? {
            Way::Here(core) => return core.aliases().await,
            Way::Host(connection) => connection,
        };
        let request = Request::Administration(AdministrationRequest::Aliases);
        let aliases: Result<Vec<AliasText>, AdministrationError> = ask(connection, request).await?;
        let aliases: Option<_> = aliases?.into_iter().map(AliasText::alias).collect();
        Ok(aliases.ok_or_else(foreign)?)
    }

    async fn add_alias(&self, alias: &Alias) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.add_alias(alias).await,
            Way::Host(connection) => {
                let request = AdministrationRequest::AddAlias(alias.into());
                ask(connection, Request::Administration(request)).await?
            }
        }
    }

    async fn remove_alias(&self, address: &Addresses) -> Result<(), AdministrationError> {
        match self.way().await? {
            Way::Here(core) => core.remove_alias(address).await,
            Way::Host(connection) => {
                let address = address.to_string();
                ask(connection, Request::Administration(AdministrationRequest::RemoveAlias { address }))
                    .await?
            }
        }
    }
}
