//! Who calls: over a Unix socket that only the user can reach, the kernel says which user that is.

use std::fs;

use tonic::Request;
use tonic::transport::server::UdsConnectInfo;

use crate::controller::Handle;

/// The controller, acting for whoever sent `request`.
pub(super) fn acting<T>(controller: &Handle, request: &Request<T>) -> Handle {
    let user = request
        .extensions()
        .get::<UdsConnectInfo>()
        .and_then(|info| info.peer_cred)
        .map_or_else(|| "unknown".to_owned(), |peer| user_name(peer.uid()));
    controller.acting_for(&user)
}

/// The name that `/etc/passwd` gives a user, else `uid N`.
fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(u32::MAX - 7), "uid 4294967288");
    }
}
