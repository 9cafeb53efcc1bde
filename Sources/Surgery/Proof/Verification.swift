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
/// - Throws: ``UserFacingError`` when the result has no manifest, its source is not there, a file can't be read, or it
///   was stopped.
public func verify(
    _ checkpoint: Checkpoint, source: String? = nil, isCancelled: () -> Bool = { false },
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
) throws(UserFacingError) -> Proof {
    if let error = checkpoint.unusableManifest { throw error }
    guard let manifest = checkpoint.manifest else { throw .noManifest(path: checkpoint.path) }
    let resolver = try ProvenanceResolver(manifest, of: checkpoint.path, source: source)
    var proof = Proof(path: checkpoint.path, sources: resolver.sourceFiles.map(\.path))
    let total = checkpoint.byteCount
    let checksums = resolver.checkSources()
    defer { checksums.stop() }
    for (name, provenance) in manifest.provenance {
        if isCancelled() { throw .unproven(checkpoint.path) }
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
    do {
        proof.changedSources = try checksums.changes(isCancelled: isCancelled).map {
            .init(path: $0.path, found: $0.found, expected: $0.expected)
        }
    } catch {
        throw error.isInterruption ? .unproven(checkpoint.path) : error
    }
    return proof
}

extension Proof {
    /// Compares a tensor with what its provenance makes.
    fileprivate mutating func compare(
        _ tensor: TensorExpression, named name: String, with provenance: Provenance,
        of resolver: ProvenanceResolver, isCancelled: () -> Bool, progress: (Int) -> Void
    ) throws(UserFacingError) {
        let expected = try resolver.expression(of: provenance, tensor: name)
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
        } catch {
            throw error.isInterruption ? .unproven(path) : error.within("tensor '\(name)' can't be compared")
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

// Why a result can't be verified.
extension UserFacingError {
    /// There is no manifest.
    package static func noManifest(path: String) -> Self {
        Self(
            .missing,
            "\(path) has no \(Manifest.fileName), which says what a result was made from; only models that this "
                + "program has written can be verified")
    }

    /// It was stopped before everything was compared.
    package static func unproven(_ path: String) -> Self {
        .interrupted(" before all of \(path) was compared; nothing is proven, begin again")
    }
}
