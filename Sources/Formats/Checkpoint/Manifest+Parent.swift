/// The model that a result is measured beside, as manifests tell of it.
public enum ParentModel: Sendable, Equatable {
    /// It is in this folder, and its files are those that the manifest tells of.
    case found(String)
    /// It can't be used; why.
    case missing(String)
}

/// Why a folder does not hold the model that another was grown from.
package struct ParentFault: Sendable, Equatable {
    /// Whether its weights are others; else its configuration or its tokenizer is.
    package let isOfWeights: Bool
    /// What was found where, and what was expected.
    package let reason: String
}

extension Checkpoint {
    /// The model that was there before the last surgery, several in a row being one, whatever was trained since.
    ///
    /// Of a model that a surgery has made and nobody has written, it is what the surgery was given. Reads all of its
    /// weights files for their checksums, where the manifest has some, and compares its configuration and its tokenizer with what
    /// the manifest keeps of them.
    ///
    /// - Parameters:
    ///   - training: the names of operations that are no surgery.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: the model, or why there is none.
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be, or when it was stopped.
    package func parent(
        passingOver training: Set<String>, isCancelled: () -> Bool
    ) throws(UserFacingError) -> ParentModel {
        switch try parentAccount(passingOver: training) {
        case .unknown(let reason): return .missing(reason)
        case .opened: return FileSystem.exists(path) ? .found(path) : .missing("\(path) is not there")
        case .told(let files):
            if let fault = try files.fault(in: nil, isCancelled) { return .missing(fault.reason) }
            return .found(files.folder)
        }
    }

    /// Compares another folder with that model, wherever it lies.
    ///
    /// - Parameters:
    ///   - folder: the other folder.
    ///   - training: the names of operations that are no surgery.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: why the folder does not hold it; nil when it does.
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be, or when it was stopped.
    package func parentFault(
        in folder: String, passingOver training: Set<String>, isCancelled: () -> Bool
    ) throws(UserFacingError) -> ParentFault? {
        switch try parentAccount(passingOver: training) {
        case .unknown(let reason): return ParentFault(isOfWeights: true, reason: reason)
        case .opened where Path.absolute(folder) == Path.absolute(path): return nil
        case .opened:
            guard let opened else {
                return ParentFault(isOfWeights: true, reason: "\(path) was opened from no files")
            }
            return try ParentFiles(opened, path).faultUnlessConverted(in: folder, isCancelled)
        case .told(let files): return try files.faultUnlessConverted(in: folder, isCancelled)
        }
    }

    /// What is known of that model.
    private func parentAccount(passingOver training: Set<String>) throws(UserFacingError) -> ParentAccount {
        // What was only converted is the model that it was, in another format.
        func hasSurgery(_ operations: [Manifest.Operation]) -> Bool {
            operations.contains { !training.contains($0.name) && $0.name != "convert" }
        }
        if hasSurgery(operations), !(manifest.map { hasSurgery($0.operations) } ?? false) { return .opened }
        guard var manifest else {
            return .unknown(
                unusableManifest.map(\.message) ?? "\(path) has no \(Manifest.fileName) that names it")
        }
        var folder = FileSystem.kind(of: path) == .folder ? path : Path.parent(path)
        var isSurgery = false
        while true {
            guard let files = ParentFiles(of: manifest, in: folder) else {
                return .unknown("\(Manifest.fileName) of \(folder) names no weights that it was made of")
            }
            isSurgery = isSurgery || manifest.operations.contains { !training.contains($0.name) }
            guard let earlier = try manifest.sourceManifest(), !earlier.ownSources.isEmpty,
                !isSurgery || hasSurgery(earlier.operations)
            else { return .told(files) }
            (folder, manifest) = (files.folder, earlier)
        }
    }
}

/// What is known of the model that another was grown from.
private enum ParentAccount {
    /// A manifest tells of its files.
    case told(ParentFiles)
    /// It is what was opened; nothing made of it was written since.
    case opened
    /// Nothing; why.
    case unknown(String)
}

/// The files of a model that another was grown from, as a manifest tells of them, or as they were opened.
private struct ParentFiles {
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
