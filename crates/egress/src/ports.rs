//! Which ports a caller's URL may name: 80, 443, and the unprivileged ones where no well-known service listens.
//!
//! An HTTP request is a text an attacker shapes; to a line-based service it can read as commands. The list keeps
//! the server from being the hand that types them, into machines of others as well as our own.
//!
//! # Source
//! The WHATWG Fetch standard's "bad ports" at and above 1024, and the IANA port registry for databases, caches,
//! queues and control planes that are known to be left open.

use std::ops::RangeInclusive;

/// Ports at and above 1024 that are refused, and what listens there.
const DENIED: &[(RangeInclusive<u16>, &str)] = &[
    (1080..=1080, "SOCKS"),
    (1098..=1099, "Java RMI"),
    (1433..=1434, "SQL Server"),
    (1521..=1521, "Oracle"),
    (1719..=1720, "H.323"),
    (1723..=1723, "PPTP"),
    (1883..=1883, "MQTT"),
    (2049..=2049, "NFS"),
    (2181..=2181, "ZooKeeper"),
    (2375..=2377, "Docker"),
    (2379..=2380, "etcd"),
    (3128..=3128, "Squid"),
    (3268..=3269, "Active Directory"),
    (3306..=3306, "MySQL"),
    (3389..=3389, "Remote Desktop"),
    (3659..=3659, "Apple SASL"),
    (3690..=3690, "Subversion"),
    (4045..=4045, "lockd"),
    (4190..=4190, "ManageSieve"),
    (4222..=4222, "NATS"),
    (4369..=4369, "Erlang port mapper"),
    (4505..=4506, "Salt"),
    (5060..=5061, "SIP"),
    (5432..=5433, "PostgreSQL"),
    (5671..=5672, "AMQP"),
    (5900..=5910, "VNC"),
    (5984..=5986, "CouchDB and WinRM"),
    (6000..=6063, "X11"),
    (6379..=6380, "Redis"),
    (6432..=6432, "PgBouncer"),
    (6443..=6443, "Kubernetes API"),
    (6566..=6566, "SANE"),
    (6665..=6669, "IRC"),
    (6679..=6679, "IRC"),
    (6697..=6697, "IRC"),
    (8500..=8501, "Consul"),
    (9042..=9042, "Cassandra"),
    (9092..=9093, "Kafka"),
    (9100..=9100, "printers"),
    (9200..=9200, "Elasticsearch"),
    (9300..=9300, "Elasticsearch"),
    (10_080..=10_080, "Amanda"),
    (10_250..=10_255, "kubelet"),
    (11_211..=11_211, "memcached"),
    (26_379..=26_379, "Redis Sentinel"),
    (27_017..=27_019, "MongoDB"),
    (50_000..=50_000, "Db2 and SAP"),
];

/// Why a port is refused, in the caller's words; nothing if it may be used.
pub(crate) fn refusal(port: u16) -> Option<String> {
    match port {
        80 | 443 => None,
        0..=1023 => Some(format!("port {port} is not allowed; use 80, 443 or one from 1024 to 65535")),
        1024.. => DENIED
            .iter()
            .find(|(ports, _)| ports.contains(&port))
            .map(|(_, service)| format!("port {port} is not allowed, because it belongs to {service}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_ports_and_unprivileged_ports_are_allowed() {
        for port in [80, 443, 1024, 3000, 4443, 5000, 8000, 8080, 8443, 9000, 65_535] {
            assert_eq!(refusal(port), None);
        }
    }

    #[test]
    fn ports_of_other_services_are_refused() {
        for port in [0, 1, 22, 25, 53, 110, 445, 1023, 2049, 3306, 5432, 6000, 6063, 6379, 9200, 11_211, 27_017] {
            assert!(refusal(port).is_some(), "{port}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_free_of_overlaps() {
        assert!(DENIED.windows(2).all(|pair| pair[0].0.end() < pair[1].0.start()));
        assert!(DENIED.iter().all(|(ports, _)| *ports.start() >= 1024));
    }
}
