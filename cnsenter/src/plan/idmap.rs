//! A user namespace's uid_map or gid_map (user_namespaces(7)).

/// Which IDs inside a user namespace are which outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap(Vec<Range>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    inside: u32,
    outside: u32,
    count: u32,
}

impl IdMap {
    /// Reads /proc/PID/uid_map; lines that are not three numbers are passed over.
    #[must_use]
    pub fn parse(file: &[u8]) -> Self {
        let text = String::from_utf8_lossy(file);
        let range = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(|n| n.parse().ok());
            Some(Range {
                inside: numbers.next()??,
                outside: numbers.next()??,
                count: numbers.next()??,
            })
        };
        Self(text.lines().filter_map(range).collect())
    }

    /// The map of a namespace that is not entered: every ID is itself.
    #[must_use]
    pub fn identity() -> Self {
        Self(vec![Range {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        }])
    }

    /// The ID outside that `id` is inside; None if it is not mapped.
    #[must_use]
    pub fn outside(&self, id: u32) -> Option<u32> {
        self.0.iter().find_map(|r| {
            let offset = id.checked_sub(r.inside).filter(|o| *o < r.count)?;
            r.outside.checked_add(offset)
        })
    }

    /// 0 if it is mapped, else the smallest ID that is.
    #[must_use]
    pub fn root_or_first(&self) -> Option<u32> {
        self.0
            .iter()
            .filter(|r| r.count > 0)
            .map(|r| r.inside)
            .min()
    }
}

impl std::fmt::Display for IdMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            let last = u64::from(r.inside) + u64::from(r.count.max(1)) - 1;
            let separator = if i > 0 { ", " } else { "" };
            write!(f, "{separator}{}", r.inside)?;
            if r.count > 1 {
                write!(f, "-{last}")?;
            }
        }
        if self.0.is_empty() {
            f.write_str("none")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IdMap;

    #[test]
    fn maps_and_shows() {
        let map =
            IdMap::parse(b"         0     100000      65536\n     70000       1000          1\n");
        assert_eq!(map.outside(0), Some(100_000));
        assert_eq!(map.outside(65_535), Some(165_535));
        assert_eq!(map.outside(65_536), None);
        assert_eq!(map.outside(70_000), Some(1000));
        assert_eq!(map.to_string(), "0-65535, 70000");
        assert_eq!(map.root_or_first(), Some(0));
        assert_eq!(IdMap::parse(b"1000 0 1").root_or_first(), Some(1000));
        assert_eq!(IdMap::parse(b"garbage\n1 2\n").to_string(), "none");
        assert_eq!(IdMap::parse(b"0 4294967290 10").outside(9), None);
    }
}
