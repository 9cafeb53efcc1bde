/// Where a result is put together and where it goes: `…/OUT`, by way of `…/.OUT.partial/model`.
struct WriteTarget {
    /// The result's folder.
    let output: String
    /// The folder that an unfinished write has beside it.
    let partial: String

    init(_ output: String) {
        let absolute = Path.absolute(output)
        self.output = output
        partial = Path.join(Path.parent(absolute), ".\(Path.name(absolute)).partial")
    }

    /// The folder that becomes the result.
    var model: String { Path.join(partial, "model") }
    /// The record of what is done.
    var journal: String { Path.join(partial, "journal") }
    /// Where a replaced folder stands for a moment on file systems that can't exchange two.
    var aside: String { Path.join(partial, "replaced") }
    /// The folder that holds both.
    var parent: String { Path.parent(Path.absolute(output)) }

    /// Refuses an output that can't be made or must not be touched.
    ///
    /// - Parameters:
    ///   - plan: what is to be written, which knows all that is read for it.
    ///   - force: whether a model that is there may be replaced.
    /// - Throws: ``UserFacingError`` that says why not.
    func check(_ plan: WritePlan, force: Bool) throws(UserFacingError) {
        if let obstacle = FileSystem.obstacle(toWritingIn: parent) {
            throw .noFolder(output: output, folder: parent, obstacle: obstacle)
        }
        let origin = plan.origin
        let sources =
            plan.sourceFiles.map(\.path) + [origin.folder].compactMap(\.self)
            + TextPaths.files(of: origin.others)
        if let source = TextPaths.source(in: output, among: sources) {
            throw .isSource(path: output, source: source)
        }
        for folder in plan.workFolders where FileSystem.exists(folder) {
            guard let source = TextPaths.source(in: folder, among: sources) else { continue }
            throw .runHoldsSource(path: output, folder: folder, source: source)
        }
        let models =
            (origin.isModel ? [origin.folder].compactMap(\.self) : [])
            + origin.others.filter(Self.holdsModel)
        for folder in models {
            if let resolved = FileSystem.resolved(folder),
                Path.isInside(TextPaths.place(of: output), resolved)
            {
                throw .insideSource(path: output, source: folder)
            }
        }
        guard FileSystem.exists(output) else { return }
        guard force else { throw .exists(path: output) }
        guard try holdsModelOrNothing() else { throw .notAModel(path: output) }
    }

    /// Gives the finished folder its name, and removes what it replaces.
    func publish(force: Bool) throws(UserFacingError) {
        try synchronize(model)
        // Without its journal a folder that was replaced and not yet removed can't be taken for unfinished work.
        try FileSystem.remove(journal)
        if force && FileSystem.exists(output) {
            try FileSystem.exchange(model, with: Path.absolute(output), aside: aside)
        } else {
            try FileSystem.rename(model, to: Path.absolute(output))
        }
        try FileSystem.synchronize(parent)
        try FileSystem.remove(partial)
    }

    /// Makes the names in a folder durable, and those in the folders in it.
    private func synchronize(_ folder: String) throws(UserFacingError) {
        for name in try FileSystem.names(folder) where FileSystem.kind(of: Path.join(folder, name)) == .folder
        {
            try synchronize(Path.join(folder, name))
        }
        try FileSystem.synchronize(folder)
    }

    private func holdsModelOrNothing() throws(UserFacingError) -> Bool {
        guard FileSystem.kind(of: output) == .folder else { return Self.isWeights(output) }
        return try FileSystem.names(output).isEmpty || Self.holdsModel(output)
    }

    /// Whether a path is a folder with a model, or parts of one.
    private static func holdsModel(_ folder: String) -> Bool {
        guard FileSystem.kind(of: folder) == .folder, let names = try? FileSystem.names(folder) else {
            return false
        }
        return names.contains(Configuration.fileName) || names.contains(Manifest.fileName)
            || names.contains(where: isWeights)
    }

    private static func isWeights(_ name: String) -> Bool {
        Path.suffix(name) == "safetensors" || WeightsFile.hdf5Suffixes.contains(Path.suffix(name))
    }
}
