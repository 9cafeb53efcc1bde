/// Files being compared with their checksums, while something else is done.
package struct SourceCheck: Sendable {
    private let files: [(file: SourceFile, checksum: String)]
    private let worker: ChecksumWorker

    init(_ files: [(file: SourceFile, checksum: String)]) {
        self.files = files
        worker = ChecksumWorker(files.map(\.file), known: [:])
    }

    /// Stops, and waits until nothing is read any more.
    package func stop() { worker.stop() }

    /// Waits for all checksums.
    ///
    /// - Parameter isCancelled: asked many times a second; true ends the waiting.
    /// - Returns: the files that have another checksum; none when it was cancelled.
    /// - Throws: ``FileError`` when a file can't be read.
    package func changes(
        isCancelled: () -> Bool
    ) throws(FileError) -> [(path: String, found: String, expected: String)] {
        guard let found = try worker.finish(isCancelled: isCancelled) else { return [] }
        return zip(files, found).compactMap { listed, found in
            listed.checksum == found ? nil : (listed.file.path, found, listed.checksum)
        }
    }
}
