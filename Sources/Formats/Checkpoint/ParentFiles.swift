/// Why a folder does not hold the model that another was grown from.
package struct ParentFault: Sendable, Equatable {
    /// Whether its weights are others; else its configuration or its tokenizer is.
    package let isOfWeights: Bool
    /// What was found where, and what was expected.
    package let reason: String
}

/// The files of a model that another was grown from, as a manifest tells of them, or as they were opened.
struct ParentFiles {
    /// A weights file that something was made of.
    struct Weights {
        let path: String, bytes: Int
        /// Its SHA-256; nil where none is known.
        let sha256: String?
        /// The file itself, where it is still open.
        var file: InputFile?

        /// Its SHA-256, of the file itself where that is open; nil where none is known.
        func digest(_ isCancelled: () -> Bool) throws(UserFacingError) -> String? {
            guard let file else { return sha256 }
            return try FileDigest.sha256(file, isCancelled: isCancelled)
        }
    }

    /// A file that says what the weights compute, or how texts are read.
    struct Other {
        let name: String, sha256: String
        /// What was in it; nil where that can't be made again.
        let content: () throws(UserFacingError) -> [UInt8]?
    }

    /// Where the model was.
    let folder: String
    private let weights: [Weights]
    /// The sizes of all of its weights files by their names; nil where they are not known.
    private let sizes: [String: Int]?
    /// Nil where nothing is known of them.
    private let others: [Other]?

    /// The files of the model that a manifest's operations were given; nil when it names no weights.
    init?(of manifest: Manifest, in folder: String) {
        weights = manifest.ownSources.sorted().map { place in
            let listed = manifest.sources[place]
            let path =
                listed.path.hasPrefix("/") ? listed.path : Path.absolute(Path.join(folder, listed.path))
            return Weights(path: path, bytes: listed.bytes, sha256: listed.sha256)
        }
        guard let first = weights.first else { return nil }
        self.folder = Path.parent(first.path)
        sizes = manifest.original.map {
            Dictionary($0.weights.map { ($0.name, $0.bytes) }, uniquingKeysWith: { first, _ in first })
        }
        others = manifest.original?.files.filter { Self.counts($0.name) }.map { file in
            Other(name: file.name, sha256: file.sha256) { () throws(UserFacingError) in
                let result = Path.join(folder, file.name)
                let isThere = file.needsResult && FileSystem.kind(of: result) == .file
                return file.content(from: isThere ? try InputFile(path: result).bytes() : nil)
            }
        }
    }

    /// The files that a model was opened from.
    init(_ opened: OpenedFiles, _ folder: String) throws(UserFacingError) {
        self.folder = folder
        weights = opened.weights.map {
            Weights(path: $0.file.path, bytes: $0.file.size, sha256: nil, file: $0.file)
        }
        sizes = Dictionary(
            weights.map { (Path.name($0.path), $0.bytes) }, uniquingKeysWith: { one, _ in one })
        var others: [Other] = []
        for file in opened.others where Self.counts(file.name) {
            others.append(
                Other(name: file.name, sha256: FileDigest.sha256(try file.bytes())) {
                    () throws(UserFacingError) in try file.bytes()
                })
        }
        self.others = others
    }

    /// Whether a model is another where a file of this name is; a licence, say, is no part of what it computes.
    private static func counts(_ name: String) -> Bool {
        [Configuration.fileName, "generation_config.json"].contains(name) || TokenizerFiles.isName(name)
            || name.hasPrefix("assets/")
    }

    /// Compares a folder with the model.
    ///
    /// - Parameters:
    ///   - other: the folder; nil for where the model was.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: why the folder does not hold it; nil when it does.
    /// - Throws: ``UserFacingError`` when it was stopped, or a file can't be read to its end.
    func fault(in other: String?, _ isCancelled: () -> Bool) throws(UserFacingError) -> ParentFault? {
        func ofWeights(_ reason: String) -> ParentFault { ParentFault(isOfWeights: true, reason: reason) }
        var files: [InputFile] = []
        for listed in weights {
            let path = other.map { Path.join($0, Path.name(listed.path)) } ?? listed.path
            let file: InputFile
            do { file = try InputFile(path: path) } catch { return ofWeights(error.message) }
            guard file.size == listed.bytes else { return ofWeights(Self.size(of: file, listed.bytes)) }
            files.append(file)
        }
        let now: Checkpoint
        do { now = try Checkpoint.open(other ?? folder) } catch { return ofWeights(error.description) }
        if let sizes {
            let names = now.sources.map(\.name).sorted()
            guard names == sizes.keys.sorted() else {
                let told = sizes.keys.sorted().joined(separator: ", ")
                return ofWeights(
                    "the weights of \(now.path) are \(names.joined(separator: ", ")), and those of the parent were \(told)"
                )
            }
            for file in now.sources {
                if let bytes = sizes[file.name], file.size != bytes {
                    return ofWeights(Self.size(of: file, bytes))
                }
            }
        }
        for (listed, file) in zip(weights, files) where file.identity != listed.file?.identity {
            guard let expected = try listed.digest(isCancelled) else { continue }
            guard try FileDigest.sha256(file, isCancelled: isCancelled) == expected else {
                return ofWeights("\(file.path) has another SHA-256 than \(Self.account(of: listed)) tells of")
            }
        }
        return try others.flatMap { others throws(UserFacingError) in
            try Self.difference(of: now, from: others).map { ParentFault(isOfWeights: false, reason: $0) }
        }
    }

    /// The same for a folder that may hold what was only converted from the model, to other types or another format, as its own
    /// manifest tells.
    func faultUnlessConverted(
        in other: String, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> ParentFault? {
        let found = try fault(in: other, isCancelled)
        guard let fault = found, fault.isOfWeights else { return found }
        let path = Path.join(other, Manifest.fileName)
        guard FileSystem.kind(of: path) == .file else { return fault }
        let manifest = try Manifest.read(path: path)
        guard !manifest.operations.isEmpty, manifest.operations.allSatisfy({ $0.name == "convert" }) else {
            return fault
        }
        let converted = Set(manifest.ownSources.compactMap { manifest.sources[$0].sha256 })
        for listed in weights {
            guard let own = try listed.digest(isCancelled), converted.contains(own) else { return fault }
        }
        return nil
    }

    private static func size(of file: InputFile, _ told: Int) -> String {
        "\(file.path) has \(file.size) bytes, and \(Manifest.fileName) tells of \(told)"
    }

    /// What tells of a weights file.
    private static func account(of listed: Weights) -> String { listed.file?.path ?? Manifest.fileName }
}

// MARK: - Configuration and tokenizer

extension ParentFiles {
    /// Keys of a configuration that say who wrote it, and nothing of the model.
    private static let origins: Set<String> = ["transformers_version", "_name_or_path"]

    /// What of a model's files says something else than it did; nil where all say the same.
    private static func difference(
        of model: Checkpoint, from others: [Other]
    ) throws(UserFacingError) -> String? {
        let found = model.opened?.others.filter { counts($0.name) } ?? []
        for told in others {
            let path = Path.join(model.path, told.name)
            guard let file = found.first(where: { $0.name == told.name }) else {
                return "\(path) is not there any more"
            }
            let bytes = try file.bytes()
            if FileDigest.sha256(bytes) == told.sha256 { continue }
            guard let before = try told.content(), let old = json(before), let new = json(bytes) else {
                return "\(path) has another SHA-256 than \(Manifest.fileName) tells of"
            }
            guard let keys = differences(of: new, from: old) else { continue }
            return "\(path) says something else than it did when the model was grown"
                + (keys.isEmpty ? "" : ", under " + keys.map { "'\($0)'" }.joined(separator: ", "))
        }
        // Of a bare file nobody knows what was beside it.
        guard others.contains(where: { $0.name == Configuration.fileName }) else { return nil }
        let more = found.first { file in
            !file.name.contains("/") && !others.contains { $0.name == file.name }
        }
        return more.map { "\(Path.join(model.path, $0.name)) was not there when the model was grown" }
    }

    private static func json(_ bytes: [UInt8]) -> JSON? {
        try? JSON(parsing: bytes, file: "", duplicates: .refused)
    }

    /// The keys under which two values differ, in whatever order they have them, none of what has no keys; nil where they say
    /// the same.
    private static func differences(of new: JSON, from old: JSON) -> [String]? {
        guard let new = new.object, let old = old.object else { return new.saysSame(as: old) ? nil : [] }
        let keys = (old.keys + new.keys.filter { old[$0] == nil }).filter { key in
            if origins.contains(key) { return false }
            guard let one = new[key], let other = old[key] else { return true }
            return !one.saysSame(as: other)
        }
        return keys.isEmpty ? nil : keys
    }
}
