internal import Formats

/// What lies beside a file of chosen documents, by which a run that trains on them says what it was given.
struct SelectionRecord: Codable, Sendable, Equatable {
    /// The SHA-256 of the file of the chosen documents, and of the ledger, which has the fate of every document.
    let sha256: String, ledger: String
    /// How many documents there were, and how many were kept.
    let documents: Int, kept: Int

    /// Whether a file was chosen, and is what was.
    enum Finding {
        case none
        case found(SelectionRecord)
        /// The file or its report was written over.
        case changed
    }

    /// Looks beside a file.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read, or when it was stopped.
    static func find(beside path: String, isCancelled: () -> Bool) throws(UserFacingError) -> Finding {
        let place = SelectionPlaces(output: path).report
        guard FileSystem.kind(of: path) == .file, FileSystem.kind(of: place) == .file else { return .none }
        guard let report = try? JSON.read(path: place), report["format"]?.string == SelectionReport.format
        else { return .none }
        guard let sha256 = report["sha256"]?.string, let ledger = report["ledger_sha256"]?.string,
            let documents = report["documents"]?.int, let kept = report["kept"]?.int,
            try FileDigest.sha256(InputFile(path: path), isCancelled: isCancelled) == sha256
        else { return .changed }
        return .found(SelectionRecord(sha256: sha256, ledger: ledger, documents: documents, kept: kept))
    }

    /// As records of runs and manifests have it.
    func json(path: String) -> JSON {
        [
            "file": .string(Path.name(path)), "sha256": .string(sha256), "ledger_sha256": .string(ledger),
            "documents": JSON(documents), "kept": JSON(kept),
        ]
    }
}

extension TrainingJob {
    /// What `trainer select` has left beside the job's texts, by their paths; and a sentence on each that was written over since.
    ///
    /// - Throws: ``UserFacingError`` when a file can't be read, or when it was stopped.
    func selections(
        isCancelled: () -> Bool
    ) throws(UserFacingError) -> (found: [String: SelectionRecord], warnings: [String]) {
        var (found, warnings): ([String: SelectionRecord], [String]) = ([:], [])
        for path in Set(stageJobs.flatMap(\.sources).map(\.path)).sorted() {
            switch try SelectionRecord.find(beside: path, isCancelled: isCancelled) {
            case .none: break
            case .found(let record): found[path] = record
            case .changed:
                warnings.append(
                    "\(path) is not what \(SelectionPlaces(output: path).report) tells of, so the result will not say how it was chosen"
                )
            }
        }
        return (found, warnings)
    }
}
