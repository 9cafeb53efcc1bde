public import Formats
internal import Models
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
/// The source is read once for both.
///
/// - Parameters:
///   - checkpoint: the result, as it was opened.
///   - source: the folder where the source is now; nil for where the manifest says.
///   - threads: how many compare; the proof does not depend on it.
///   - isCancelled: asked many times a second; true stops, and there is no proof then.
///   - progress: told how many bytes are compared, of how many.
/// - Returns: what was proven of everything there is, and what was not.
/// - Throws: ``UserFacingError`` when the result has no manifest, or one that contradicts itself, its source is not there, a file can't be read, or it
///   was stopped.
public func verify(
    _ checkpoint: Checkpoint, source: String? = nil, threads: Int = 1, isCancelled: () -> Bool = { false },
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
) throws(UserFacingError) -> Proof {
    if let error = checkpoint.unusableManifest { throw error }
    guard let manifest = checkpoint.manifest else { throw .noManifest(path: checkpoint.path) }
    try Manifest.checkLayers(
        of: manifest.operations, against: manifest.provenance,
        file: Path.join(checkpoint.path, Manifest.fileName))
    let resolver = try ProvenanceResolver(manifest, of: checkpoint.path, source: source)
    var proof = Proof(path: checkpoint.path, sources: resolver.sourceFiles.map(\.path))
    var items: [(name: String, item: SourceComparison.Item)] = []
    for (name, provenance) in manifest.provenance {
        if let item = try proof.item(checkpoint.tensors[name], named: name, of: provenance, resolver) {
            items.append((name, item))
        }
    }
    for name in checkpoint.tensors.keys where manifest.provenance[name] == nil {
        proof.fail(
            name, "it is among the tensors, but \(Manifest.fileName) does not say what it was made from")
    }
    let comparison = SourceComparison(
        items.map(\.item), sources: zip(resolver.sourceFiles, resolver.checksums).map { ($0, $1 != nil) })
    let total = checkpoint.byteCount
    let found: SourceComparison.Result
    do {
        found = try comparison.run(threads: threads, isCancelled: isCancelled) { progress($0, total) }
    } catch {
        throw error.isInterruption ? .unproven(checkpoint.path) : error
    }
    for ((name, item), difference) in zip(items, found.differences) {
        proof.take(difference, of: item, named: name, manifest.provenance[name])
    }
    proof.sort(by: manifest, checkpoint)
    for (file, sums) in zip(resolver.sourceFiles, zip(resolver.checksums, found.checksums)) {
        guard let expected = sums.0, let found = sums.1, expected != found else { continue }
        proof.changedSources.append(.init(path: file.path, found: found, expected: expected))
    }
    return proof
}

extension Proof {
    /// What a tensor has to be compared with; nil when it is known already what there is to say of it.
    fileprivate mutating func item(
        _ tensor: TensorExpression?, named name: String, of provenance: Provenance,
        _ resolver: ProvenanceResolver
    ) throws(UserFacingError) -> SourceComparison.Item? {
        guard let tensor else {
            fail(name, "\(Manifest.fileName) lists it, but it is not among the tensors")
            return nil
        }
        guard let expected = try resolver.expression(of: provenance, tensor: name) else {
            unproven.append(name)
            return nil
        }
        guard tensor.type == expected.type, tensor.shape == expected.shape else {
            fail(
                name,
                "it is \(tensor.type.rawValue) \(tensor.shape), and should be \(expected.type.rawValue) "
                    + "\(expected.shape)")
            return nil
        }
        return SourceComparison.Item(name: name, found: tensor, expected: expected)
    }

    /// Takes down what comparing a tensor has shown.
    fileprivate mutating func take(
        _ difference: ByteDifference?, of item: SourceComparison.Item, named name: String,
        _ provenance: Provenance?
    ) {
        if let difference {
            fail(
                name,
                "its byte \(difference.offset) is \(difference.found), and should be \(difference.expected)")
        } else if case .leaf = provenance?.node {
            copied += 1
        } else {
            derived += 1
        }
        comparedByteCount += item.byteCount
    }

    /// Puts what failed into the order of the manifest, what that does not list behind it.
    fileprivate mutating func sort(by manifest: Manifest, _ checkpoint: Checkpoint) {
        var places: [String: Int] = [:]
        for name in Array(manifest.provenance.keys) + Array(checkpoint.tensors.keys) where places[name] == nil
        {
            places[name] = places.count
        }
        failures.sort { places[$0.tensor, default: 0] < places[$1.tensor, default: 0] }
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
