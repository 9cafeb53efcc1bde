internal import Formats

/// How torchrun starts the processes of a ``RunFolder``, on one host or on several.
///
/// Several meet at the first one (torchrun's static rendezvous), whose processes have the lowest numbers. So the process that
/// writes down what happens is on the host that `trainer heal` was started on.
struct Torchrun {
    /// How many processes there are on a host, how many hosts, and where they meet.
    let settings: ClusterSettings

    /// Processes on a host, as torchrun takes them.
    var processes: String {
        settings.processes.map(String.init) ?? (settings.device == .cuda ? "gpu" : "1")
    }

    /// The options of torchrun on a host, from 0.
    func options(host: Int) -> [String] {
        guard let rendezvous = settings.rendezvous, settings.hosts > 1 else {
            return ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", processes]
        }
        return [
            "--nnodes", String(settings.hosts), "--node-rank", String(host),
            "--master-addr", rendezvous.host, "--master-port", String(rendezvous.port),
            "--nproc-per-node", processes,
        ]
    }

    /// What is to be started on the other hosts; nil where there is none.
    var elsewhere: String? {
        guard settings.hosts > 1, settings.rendezvous != nil else { return nil }
        return (1..<settings.hosts).map { host in
            "torchrun \(options(host: host).joined(separator: " ")) \(RunFolder.workerName) \(RunFolder.jobName)"
        }.joined(separator: "\n")
    }
}

/// Where the processes of several hosts meet: `HOST`, or `HOST:PORT`.
public struct Rendezvous: RawRepresentable, Sendable, Equatable {
    /// The name or IPv4 address of the first host, as the others reach it.
    public let host: String
    /// A free port there.
    public let port: Int

    /// Reads where processes meet; nil for what is no host and port.
    ///
    /// The port is torchrun's usual one, 29500, where none is given.
    public init?(rawValue: String) {
        let parts = rawValue.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let host = parts.first, !host.isEmpty,
            host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0)) })
        else { return nil }
        let port = parts.count == 2 ? Int(parts[1]) : 29_500
        guard let port, (1...65_535).contains(port) else { return nil }
        (self.host, self.port) = (String(host), port)
    }

    /// `HOST:PORT`.
    public var rawValue: String { "\(host):\(port)" }
}
