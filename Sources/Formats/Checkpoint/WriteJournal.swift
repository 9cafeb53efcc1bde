/// What of a write is done and durable, so that a run that was stopped can go on.
///
/// A text file of one entry a line; a last line without its end was torn and does not count.
///
///     model-surgery journal 1 <fingerprint of the plan>
///     overflow <count> <tensor>      belongs to the entry `at` that follows
///     at <file> <bytes>              the file with this number is durable up to here
///     sha256 <source> <digest>       the checksum of a source
struct WriteJournal: ~Copyable {
    private static let title = "model-surgery journal 1"

    private let file: WritableFile
    private var end: Int
    /// How many bytes of each file are durable.
    private(set) var durable: [Int: Int] = [:]
    /// What the durable parts lost to infinity, by tensor.
    private(set) var overflows: [String: Int] = [:]
    /// The checksums that are known.
    private(set) var checksums: [Int: String] = [:]

    /// Opens the journal at `path`, or begins one.
    ///
    /// - Throws: ``UserFacingError`` when another process has it, or what the system refuses.
    static func open(_ path: String, output: String) throws(UserFacingError) -> WriteJournal {
        let file = try WritableFile(path: path)
        if file.lock() { return WriteJournal(file: file) }
        throw .busy(path: output)
    }

    private init(file: consuming WritableFile) {
        self.file = file
        end = 0
    }

    /// Takes over what an earlier run of the same plan has done; false when there is nothing to take over.
    mutating func resume(_ fingerprint: String) throws(UserFacingError) -> Bool {
        let text = try file.bytes()
        let complete = text.lastIndex(of: UInt8(ascii: "\n")).map { text[...$0] } ?? []
        let lines = String(decoding: complete, as: UTF8.self).split(separator: "\n")
        guard lines.first.map(String.init) == "\(Self.title) \(fingerprint)" else { return false }
        var pending: [String: Int] = [:]
        for line in lines.dropFirst() {
            let words = line.split(separator: " ", maxSplits: 2).map(String.init)
            guard words.count == 3, let number = Int(words[1]) else { continue }
            switch words[0] {
            case "overflow":
                // The name stands as a JSON string, since it may hold anything.
                let name = try? JSON(parsing: Array(words[2].utf8), file: file.path).string
                if let name { pending[name, default: 0] += number }
            case "sha256": checksums[number] = words[2]
            default:
                durable[number] = Int(words[2]) ?? 0
                overflows.merge(pending, uniquingKeysWith: +)
                pending = [:]
            }
        }
        end = complete.count
        try file.truncate(to: end)
        return true
    }

    /// Begins anew.
    mutating func begin(_ fingerprint: String) throws(UserFacingError) {
        try file.truncate(to: 0)
        (end, durable, overflows, checksums) = (0, [:], [:], [:])
        try append("\(Self.title) \(fingerprint)\n")
    }

    /// Records that a file is durable up to a place, and what was lost to infinity on the way.
    mutating func record(file index: Int, through bytes: Int, overflows lost: [String: Int])
        throws(UserFacingError)
    {
        let lines = lost.sorted { $0.key < $1.key }.map { tensor in
            let name = String(decoding: JSON.string(tensor.key).serialized(indent: nil), as: UTF8.self)
            return "overflow \(tensor.value) \(name)\n"
        }
        try append(lines.joined() + "at \(index) \(bytes)\n")
        durable[index] = bytes
        overflows.merge(lost, uniquingKeysWith: +)
    }

    /// Records the checksum of a source.
    mutating func record(checksum: String, of source: Int) throws(UserFacingError) {
        if checksums.updateValue(checksum, forKey: source) == checksum { return }
        try append("sha256 \(source) \(checksum)\n")
    }

    private mutating func append(_ text: String) throws(UserFacingError) {
        let bytes = Array(text.utf8)
        try unsafe file.write(bytes.span.bytes, at: end)
        try file.synchronize()
        end += bytes.count
    }
}
