public import Formats
internal import OrderedCollections

/// A proof that a result is what its manifest says: every tensor compared, byte for byte, with what the manifest makes
/// of the source, and the source's files with their checksums.
public struct Verification: Sendable, Equatable {
    /// A tensor that is not what it should be.
    public struct Failure: Sendable, Equatable {
        /// The tensor's name.
        public let tensor: String
        /// What is wrong with it.
        public let reason: String
    }

    /// A source whose checksum is not the one that the manifest has.
    public struct ChangedSource: Sendable, Equatable {
        /// Where the file is.
        public let path: String
        /// Its SHA-256 now.
        public let found: String
        /// Its SHA-256 when the result was made from it.
        public let expected: String
    }

    /// The result's folder.
    public let path: String
    /// The sources that were compared with.
    public let sources: [String]
    /// How many tensors are their source's, byte for byte.
    public private(set) var copied = 0
    /// How many tensors are what an operation makes of their sources, byte for byte.
    public private(set) var derived = 0
    /// The tensors that the manifest can't make again, as those that were trained.
    public private(set) var unproven: [String] = []
    /// How many bytes were compared.
    public private(set) var comparedByteCount = 0
    /// The tensors that are not what they should be.
    public private(set) var failures: [Failure] = []

    /// The sources that are other files than those the result was made from.
    public private(set) var changedSources: [ChangedSource] = []

    /// Whether every tensor was proven, of the very files that the manifest names.
    public var isProven: Bool { failures.isEmpty && unproven.isEmpty && changedSources.isEmpty }

    /// Verifies a result.
    ///
    /// - Parameters:
    ///   - checkpoint: the result, as it was opened.
    ///   - source: the folder where the source is now; nil for where the manifest says.
    ///   - progress: told how many bytes are compared, of how many; false stops.
    /// - Throws: ``VerificationError`` when the result has no manifest, the source is not there or not the one it was
    ///   made from, or a file can't be read.
    public init(
        _ checkpoint: Checkpoint, source: String? = nil,
        progress: (_ done: Int, _ total: Int) -> Bool = { _, _ in true }
    ) throws(VerificationError) {
        if let error = checkpoint.unusableManifest { throw .manifest(error) }
        guard let manifest = checkpoint.manifest else { throw .noManifest(path: checkpoint.path) }
        let sources: ProvenanceResolver
        do {
            sources = try ProvenanceResolver(manifest, of: checkpoint.path, source: source)
        } catch {
            throw .manifest(error)
        }
        path = checkpoint.path
        self.sources = sources.sourceFiles.map(\.path)
        let total = checkpoint.byteCount
        let checksums = sources.checkSources()
        defer { checksums.stop() }
        for (name, provenance) in manifest.provenance {
            guard let tensor = checkpoint.tensors[name] else {
                fail(name, "\(Manifest.fileName) lists it, but it is not among the tensors")
                continue
            }
            guard try verify(tensor, name, provenance, sources, progress: { progress($0, total) })
            else { return }
        }
        for name in checkpoint.tensors.keys where manifest.provenance[name] == nil {
            fail(name, "it is among the tensors, but \(Manifest.fileName) does not say what it was made from")
        }
        do {
            let changes = try checksums.changes(isCancelled: { !progress(comparedByteCount, total) })
            changedSources = changes.map {
                ChangedSource(path: $0.path, found: $0.found, expected: $0.expected)
            }
        } catch {
            throw .file(error)
        }
    }

    /// Compares a tensor with what its provenance makes.
    ///
    /// - Returns: false when it was stopped.
    private mutating func verify(
        _ tensor: TensorExpression, _ name: String, _ provenance: Provenance,
        _ sources: ProvenanceResolver,
        progress: (Int) -> Bool
    ) throws(VerificationError) -> Bool {
        let expected: TensorExpression?
        do { expected = try sources.expression(of: provenance, tensor: name) } catch {
            throw .manifest(error)
        }
        guard let expected else {
            unproven.append(name)
            return true
        }
        guard tensor.type == expected.type, tensor.shape == expected.shape else {
            fail(
                name,
                "it is \(tensor.type.rawValue) \(tensor.shape), and should be \(expected.type.rawValue) "
                    + "\(expected.shape)")
            return true
        }
        var goesOn = true
        let start = comparedByteCount
        let difference: ByteDifference?
        var compared = 0
        do {
            difference = try tensor.firstDifference(from: expected) { count in
                compared += count
                goesOn = progress(start + compared)
                return goesOn
            }
        } catch {
            throw .tensor(name: name, error)
        }
        guard goesOn else { return false }
        comparedByteCount += tensor.byteCount
        if let difference {
            fail(
                name,
                "its byte \(difference.offset) is \(difference.found), and should be \(difference.expected)")
        } else if case .leaf = provenance.node {
            copied += 1
        } else {
            derived += 1
        }
        return true
    }

    private mutating func fail(_ tensor: String, _ reason: String) {
        failures.append(Failure(tensor: tensor, reason: reason))
    }
}

/// Why a result can't be verified.
public enum VerificationError: Diagnosis, Equatable {
    /// There is no manifest.
    case noManifest(path: String)
    /// The manifest or what it names is not right.
    case manifest(ManifestError)
    /// A source can't be read.
    case file(FileError)
    /// A tensor can't be read.
    case tensor(name: String, TensorError)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .noManifest(let path):
            "\(path) has no \(Manifest.fileName), which says what a result was made from; only models that this "
                + "program has written can be verified"
        case .manifest(let error): error.description
        case .file(let error): error.description
        case .tensor(let name, let error): "tensor '\(name)' can't be compared: \(error)"
        }
    }

    /// The input is at fault, unless a file could not be read.
    public var fault: Fault {
        switch self {
        case .noManifest: .input
        case .manifest(let error): error.fault
        case .file(let error): error.fault
        case .tensor(_, let error): error.fault
        }
    }
}
