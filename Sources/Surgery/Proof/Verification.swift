public import Formats
internal import OrderedCollections

/// What comparing a whole result with its source has shown.
///
/// There is one only of a verification that came to its end.
public struct Proof: Sendable, Equatable {
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
    public fileprivate(set) var copied = 0
    /// How many tensors are what an operation makes of their sources, byte for byte.
    public fileprivate(set) var derived = 0
    /// The tensors that the manifest can't make again, as those that were trained.
    public fileprivate(set) var unproven: [String] = []
    /// How many bytes were compared.
    public fileprivate(set) var comparedByteCount = 0
    /// The tensors that are not what they should be.
    public fileprivate(set) var failures: [Failure] = []
    /// The sources that are other files than those the result was made from.
    public fileprivate(set) var changedSources: [ChangedSource] = []

    /// Whether every tensor was proven, of the very files that the manifest names.
    public var isComplete: Bool { failures.isEmpty && unproven.isEmpty && changedSources.isEmpty }

    fileprivate init(path: String, sources: [String]) {
        self.path = path
        self.sources = sources
    }
}

/// Compares every tensor of a result, byte for byte, with what its manifest makes of the source, and the source's files
/// with their checksums.
///
/// - Parameters:
///   - checkpoint: the result, as it was opened.
///   - source: the folder where the source is now; nil for where the manifest says.
///   - isCancelled: asked many times a second; true stops, and there is no proof then.
///   - progress: told how many bytes are compared, of how many.
/// - Returns: what was proven of everything there is, and what was not.
/// - Throws: ``VerificationError`` when the result has no manifest, its source is not there, a file can't be read, or it
///   was stopped.
public func verify(
    _ checkpoint: Checkpoint, source: String? = nil, isCancelled: () -> Bool = { false },
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
) throws(VerificationError) -> Proof {
    if let error = checkpoint.unusableManifest { throw .manifest(error) }
    guard let manifest = checkpoint.manifest else { throw .noManifest(path: checkpoint.path) }
    let resolver: ProvenanceResolver
    do {
        resolver = try ProvenanceResolver(manifest, of: checkpoint.path, source: source)
    } catch {
        throw .manifest(error)
    }
    var proof = Proof(path: checkpoint.path, sources: resolver.sourceFiles.map(\.path))
    let total = checkpoint.byteCount
    let checksums = resolver.checkSources()
    defer { checksums.stop() }
    for (name, provenance) in manifest.provenance {
        if isCancelled() { throw .interrupted(path: checkpoint.path) }
        guard let tensor = checkpoint.tensors[name] else {
            proof.fail(name, "\(Manifest.fileName) lists it, but it is not among the tensors")
            continue
        }
        let start = proof.comparedByteCount
        var compared = 0
        try proof.compare(tensor, named: name, with: provenance, of: resolver, isCancelled: isCancelled) {
            compared += $0
            progress(start + compared, total)
        }
    }
    for name in checkpoint.tensors.keys where manifest.provenance[name] == nil {
        proof.fail(
            name, "it is among the tensors, but \(Manifest.fileName) does not say what it was made from")
    }
    do throws(DigestError) {
        proof.changedSources = try checksums.changes(isCancelled: isCancelled).map {
            .init(path: $0.path, found: $0.found, expected: $0.expected)
        }
    } catch {
        switch error {
        case .file(let error): throw .file(error)
        case .interrupted: throw .interrupted(path: checkpoint.path)
        }
    }
    return proof
}

extension Proof {
    /// Compares a tensor with what its provenance makes.
    fileprivate mutating func compare(
        _ tensor: TensorExpression, named name: String, with provenance: Provenance,
        of resolver: ProvenanceResolver, isCancelled: () -> Bool, progress: (Int) -> Void
    ) throws(VerificationError) {
        let expected: TensorExpression?
        do { expected = try resolver.expression(of: provenance, tensor: name) } catch {
            throw .manifest(error)
        }
        guard let expected else {
            unproven.append(name)
            return
        }
        guard tensor.type == expected.type, tensor.shape == expected.shape else {
            fail(
                name,
                "it is \(tensor.type.rawValue) \(tensor.shape), and should be \(expected.type.rawValue) "
                    + "\(expected.shape)")
            return
        }
        let difference: ByteDifference?
        do {
            difference = try tensor.firstDifference(
                from: expected, isCancelled: isCancelled, progress: progress)
        } catch .interrupted {
            throw .interrupted(path: path)
        } catch {
            throw .tensor(name: name, error)
        }
        if let difference {
            fail(
                name,
                "its byte \(difference.offset) is \(difference.found), and should be \(difference.expected)")
        } else if case .leaf = provenance.node {
            copied += 1
        } else {
            derived += 1
        }
        comparedByteCount += tensor.byteCount
    }

    fileprivate mutating func fail(_ tensor: String, _ reason: String) {
        failures.append(Failure(tensor: tensor, reason: reason))
    }
}

/// Why a result can't be verified.
public enum VerificationError: UserFacingError, Equatable {
    /// There is no manifest.
    case noManifest(path: String)
    /// The manifest or what it names is not right.
    case manifest(ManifestError)
    /// A source can't be read.
    case file(FileError)
    /// A tensor can't be read.
    case tensor(name: String, TensorError)
    /// It was stopped before everything was compared.
    case interrupted(path: String)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .noManifest(let path):
            "\(path) has no \(Manifest.fileName), which says what a result was made from; only models that this "
                + "program has written can be verified"
        case .interrupted(let path): "the proof of \(path) was stopped; nothing was proven, begin again"
        case .manifest(let error): error.description
        case .file(let error): error.description
        case .tensor(let name, let error): "tensor '\(name)' can't be compared: \(error)"
        }
    }

    /// The input is at fault, unless a file could not be read.
    public var fault: Fault {
        switch self {
        case .noManifest: .input
        case .interrupted: .run
        case .manifest(let error): error.fault
        case .file(let error): error.fault
        case .tensor(_, let error): error.fault
        }
    }
}
