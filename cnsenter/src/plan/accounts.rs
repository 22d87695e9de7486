//! A container's /etc/passwd and /etc/group, as bytes (passwd(5), group(5)).
//!
//! The container writes these files: lines that do not look right are passed over, nothing is
//! looked up through NSS (CVE-2019-14271).

/// One line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User<'a> {
    /// Login name.
    pub name: &'a [u8],
    /// User ID.
    pub uid: u32,
    /// Primary group ID.
    pub gid: u32,
    /// Home directory; may be empty.
    pub home: &'a [u8],
}

/// One line of /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// Group name.
    pub name: &'a [u8],
    /// Group ID.
    pub gid: u32,
    members: &'a [u8],
}

impl Group<'_> {
    /// Whether the user of that name is listed.
    #[must_use]
    pub fn has_member(&self, user: &[u8]) -> bool {
        !user.is_empty() && self.members.split(|b| *b == b',').any(|m| m == user)
    }
}

/// The users of a /etc/passwd, in its order.
pub fn users(passwd: &[u8]) -> impl Iterator<Item = User<'_>> {
    lines(passwd).filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
        Some(User {
            name,
            uid,
            gid,
            home: fields.nth(1).unwrap_or_default(),
        })
    })
}

/// The groups of a /etc/group, in its order.
pub fn groups(group: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(group).filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        let gid = id(fields.nth(1)?)?;
        Some(Group {
            name,
            gid,
            members: fields.next().unwrap_or_default(),
        })
    })
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n').filter(|l| !l.starts_with(b"#"))
}

/// An ID in range: 4294967295 means "no change" to the kernel (setresuid(2)).
fn id(field: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(field).ok()?;
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
        .filter(|id| *id < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_users_and_passes_over_the_rest() {
        let file = b"root:x:0:0:root:/root:/bin/sh\n\nbad\n:x:1:1::/:\nbig:x:4294967295:0::/:\n\
            neg:x:-1:0::/:\nplus:x:+1:0::/:\nwrap:x:4294967296:0::/:\n#c:x:9:9::/:\napp:x:1000:1001";
        let found: Vec<_> = users(file)
            .map(|u| (u.name, u.uid, u.gid, u.home))
            .collect();
        assert_eq!(
            found,
            [
                (&b"root"[..], 0, 0, &b"/root"[..]),
                (&b"app"[..], 1000, 1001, &b""[..])
            ]
        );
    }

    #[test]
    fn reads_groups_and_members() {
        let file = b"root:x:0:\nwheel:x:10:root,app\nbroken:x\napps:x:1001:app";
        let of = |user: &[u8]| -> Vec<u32> {
            groups(file)
                .filter(|g| g.has_member(user))
                .map(|g| g.gid)
                .collect()
        };
        assert_eq!(of(b"app"), [10, 1001]);
        assert_eq!(of(b"root"), [10]);
        assert_eq!(of(b""), [0; 0]);
    }
}
