/// The model that a result is measured beside, as manifests tell of it.
public enum ParentModel: Sendable, Equatable {
    /// It is in this folder, and its files are those that the manifest tells of.
    case found(String)
    /// It can't be used; why.
    case missing(String)
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
