/// The model that a result is measured beside, as manifests tell of it.
public enum ParentModel: Sendable, Equatable {
    /// It is in this folder, and its weights are those that the manifest tells of.
    case found(String)
    /// It can't be used; why.
    case missing(String)
}

extension Checkpoint {
    /// The model that was there before the last surgery, several in a row being one, whatever was trained since.
    ///
    /// Of a model that a surgery has made and nobody has written, it is what the surgery was given. Reads all of its
    /// weights files for their checksums, where the manifest has some.
    ///
    /// - Parameters:
    ///   - training: the names of operations that are no surgery.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: the model, or why there is none.
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be, or when it was stopped.
    package func parent(
        passingOver training: Set<String>, isCancelled: () -> Bool
    ) throws(UserFacingError) -> ParentModel {
        // What was only converted is the model that it was, in another format.
        func hasSurgery(_ operations: [Manifest.Operation]) -> Bool {
            operations.contains { !training.contains($0.name) && $0.name != "convert" }
        }
        if hasSurgery(operations), !(manifest.map { hasSurgery($0.operations) } ?? false) {
            return FileSystem.exists(path) ? .found(path) : .missing("\(path) is not there")
        }
        guard var manifest else {
            return .missing(
                unusableManifest.map(\.message) ?? "\(path) has no \(Manifest.fileName) that names it")
        }
        var folder = FileSystem.kind(of: path) == .folder ? path : Path.parent(path)
        var isSurgery = false
        while true {
            let files = manifest.ownSources.sorted().map { manifest.sources[$0] }
            guard let first = files.first else {
                return .missing("\(Manifest.fileName) of \(folder) names no weights that it was made of")
            }
            let source = Path.parent(Self.place(of: first, from: folder))
            isSurgery = isSurgery || manifest.operations.contains { !training.contains($0.name) }
            if let earlier = try manifest.sourceManifest(), !earlier.ownSources.isEmpty,
                !isSurgery || hasSurgery(earlier.operations)
            {
                (folder, manifest) = (source, earlier)
                continue
            }
            for file in files {
                if let fault = try Self.fault(of: file, from: folder, isCancelled) { return .missing(fault) }
            }
            return .found(source)
        }
    }

    private static func place(of file: Manifest.Source, from folder: String) -> String {
        file.path.hasPrefix("/") ? file.path : Path.absolute(Path.join(folder, file.path))
    }

    /// Why a file is not the one that a manifest tells of; nil when it is.
    private static func fault(
        of listed: Manifest.Source, from folder: String, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> String? {
        let path = place(of: listed, from: folder)
        let file: InputFile
        do { file = try InputFile(path: path) } catch { return error.message }
        guard file.size == listed.bytes else {
            return "\(path) has \(file.size) bytes, and \(Manifest.fileName) tells of \(listed.bytes)"
        }
        guard let expected = listed.sha256 else { return nil }
        guard try FileDigest.sha256(file, isCancelled: isCancelled) == expected else {
            return "\(path) has another SHA-256 than \(Manifest.fileName) tells of"
        }
        return nil
    }
}
