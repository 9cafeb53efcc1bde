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
    ///   - sources: every file that the result is made from.
    ///   - origin: what the model was opened from.
    ///   - force: whether a model that is there may be replaced.
    /// - Throws: ``UserFacingError`` that says why not.
    func check(
        sources: some Sequence<InputFile>, origin: WriteOrigin, force: Bool
    ) throws(UserFacingError) {
        if let obstacle = FileSystem.obstacle(toWritingIn: parent) {
            throw .noFolder(output: output, folder: parent, obstacle: obstacle)
        }
        try checkApart(from: sources.map(\.path), origin)
        guard FileSystem.exists(output) else { return }
        guard force else { throw .exists(path: output) }
        guard try holdsModelOrNothing() else { throw .notAModel(path: output) }
    }

    /// Refuses an output that is, holds or lies inside what it is made from.
    private func checkApart(from files: [String], _ origin: WriteOrigin) throws(UserFacingError) {
        let absolute = Path.absolute(output)
        let place =
            FileSystem.resolved(output)
            ?? Path.join(FileSystem.resolved(parent) ?? parent, Path.name(absolute))
        for source in files + [origin.folder].compactMap(\.self) + origin.otherFolders {
            // A link is as much the source as what it leads to.
            let link = FileSystem.resolved(Path.parent(Path.absolute(source))).map {
                Path.join($0, Path.name(Path.absolute(source)))
            }
            if [link, FileSystem.resolved(source)].compactMap(\.self).contains(where: {
                Path.isInside($0, place)
            }
            ) {
                throw .isSource(path: output, source: source)
            }
        }
        let folders = (origin.isModel ? [origin.folder].compactMap(\.self) : []) + origin.otherFolders
        for folder in folders {
            if let resolved = FileSystem.resolved(folder), Path.isInside(place, resolved) {
                throw .insideSource(path: output, source: folder)
            }
        }
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
        guard FileSystem.kind(of: output) == .folder else { return isWeights(output) }
        let names = try FileSystem.names(output)
        return names.isEmpty || names.contains(Configuration.fileName)
            || names.contains(Manifest.fileName)
            || names.contains { isWeights($0) }
    }

    private func isWeights(_ name: String) -> Bool {
        Path.suffix(name) == "safetensors" || WeightsFile.hdf5Suffixes.contains(Path.suffix(name))
    }
}
