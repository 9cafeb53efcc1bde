/// A file that is made again as it was: parts of tensors, and the bytes between them.
public struct RestoredFile: Sendable {
    /// A run of its bytes.
    package enum Part: Sendable {
        /// These.
        case bytes([UInt8])
        /// A tensor's, all of them.
        case tensor(TensorExpression, name: String)

        fileprivate var byteCount: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .tensor(let tensor, _): tensor.byteCount
            }
        }
    }

    /// Its name inside the folder.
    public let name: String
    /// SHA-256 of the bytes it had, in hexadecimal; nil when it is not known.
    public let sha256: String?
    /// Its parts, one behind the other.
    package let parts: [Part]

    /// A file of these parts.
    package init(name: String, sha256: String?, parts: [Part]) {
        self.name = name
        self.sha256 = sha256
        self.parts = parts
    }

    /// Its size.
    public var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }
}

extension CheckpointWriter {
    /// How files would be made again; nothing is written.
    ///
    /// - Parameters:
    ///   - files: the files of a folder.
    ///   - result: the model that they are made of.
    ///   - output: the folder they should become.
    /// - Returns: the plan, which is carried out as any other. Each file is then compared with its checksum before the
    ///   folder gets its name.
    public func plan(restoring files: [RestoredFile], of result: Checkpoint, to output: String) -> WritePlan {
        WritePlan(restoring: files, of: result, to: output)
    }
}

extension WritePlan {
    fileprivate init(restoring files: [RestoredFile], of result: Checkpoint, to output: String) {
        self.output = output
        self.files = files.map(File.init)
        manifest = nil
        sources = []
        skippedFiles = []
        origin = WriteOrigin(result)
        parameterCount = files.lazy.flatMap(\.parts).reduce(0) { sum, part in
            if case .tensor(let tensor, _) = part { sum + tensor.elementCount } else { sum }
        }
    }

    /// Compares the files that were made again with their checksums.
    ///
    /// - Throws: ``UserFacingError`` that names a file which is another.
    func checkRestored(in folder: String, isCancelled: () -> Bool) throws(UserFacingError) {
        let files = self.files.filter { $0.sha256 != nil }
        var opened: [InputFile] = []
        for file in files { opened.append(try InputFile(path: Path.join(folder, file.name))) }
        let worker = ChecksumWorker(opened, known: [:])
        defer { worker.stop() }
        for (file, found) in zip(files, try worker.finish(isCancelled: isCancelled)) {
            guard let sha256 = file.sha256, sha256 != found else { continue }
            throw .restoredAnother(file: file.name, found: found, expected: sha256)
        }
    }
}

extension WritePlan.File {
    fileprivate init(_ file: RestoredFile) {
        var list = SegmentList()
        var tensors: [String] = []
        for part in file.parts {
            switch part {
            case .bytes(let bytes): list.append(.bytes(bytes), count: bytes.count)
            case .tensor(let tensor, let name):
                tensors.append(name)
                for part in tensor.parts(named: name) { list.append(part.content, count: part.count) }
            }
        }
        self.init(
            name: file.name, byteCount: list.byteCount, tensors: tensors, segments: list.segments,
            sha256: file.sha256)
    }
}

extension UserFacingError {
    /// A file that was made again is not what it was.
    package static func restoredAnother(file: String, found: String, expected: String) -> Self {
        Self(
            .inconsistent,
            "\(file) can't be made again: its SHA-256 would be \(found), and was \(expected); a tensor that it is made of "
                + "has changed since, and nothing was written")
    }
}
