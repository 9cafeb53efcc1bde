private import Foundation

/// SentencePiece's normalisation: a table of character sequences and what they become.
///
/// The table is a double array: a unit's offset leads to the units of the next bytes, and a unit with a leaf
/// has its value at its offset. Values are places in a text of replacements that end with a zero byte.
///
/// Source: SentencePiece's `precompiled_charsmap` (`normalizer.cc`) over darts-clone; how a text is divided
/// before it is looked up is Hugging Face tokenizers' way.
struct PrecompiledMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]

    /// Clusters of fewer bytes are looked up as a whole before their characters are.
    private static let clusterLimit = 6

    /// Reads the normalizer of the type Precompiled.
    init(_ field: TokenizerField) throws(UserFacingError) {
        let map = field["precompiled_charsmap"]
        let text = try map.string()
        guard let data = Data(base64Encoded: text) else { throw map.failure("text in Base64") }
        let bytes = [UInt8](data)
        func word(_ index: Int) -> UInt32 {
            bytes[(index * 4)..<(index * 4 + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        let isLongEnough = bytes.count >= 8
        let size = isLongEnough ? Int(word(0)) / 4 : 0
        guard isLongEnough, size > 0, size * 4 + 4 <= bytes.count else {
            throw map.failure("a table of SentencePiece, its size first")
        }
        units = (1...size).map(word)
        replacements = Array(bytes[(size * 4 + 4)...])
        guard String(validating: replacements, as: UTF8.self) != nil else {
            throw map.failure("a table of SentencePiece, its texts in UTF-8")
        }
    }

    /// The normalised text.
    func apply(to text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        for cluster in String(decoding: text, as: UTF8.self) {
            let utf8 = Array(cluster.utf8)
            if utf8.count < Self.clusterLimit, let replacement = replacement(for: utf8[...]) {
                output.append(contentsOf: replacement)
                continue
            }
            var index = 0
            while index < utf8.count {
                let length = utf8.span.scalar(at: index).length
                let character = utf8[index..<(index + length)]
                output.append(contentsOf: replacement(for: character) ?? character)
                index += length
            }
        }
        return output
    }

    /// What the shortest known beginning of a sequence becomes, which then stands for all of it.
    private func replacement(for sequence: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var node = Self.offset(units[0])
        for byte in sequence {
            if byte == 0 { return nil }
            node ^= Int(byte)
            guard node < units.count, units[node] & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            let unit = units[node]
            node ^= Self.offset(unit)
            guard unit >> 8 & 1 == 1 else { continue }
            guard node < units.count else { return nil }
            let start = Int(units[node] & (1 << 31 - 1))
            guard start < replacements.count else { return [] }
            let end = replacements[start...].firstIndex(of: 0) ?? replacements.count
            return replacements[start..<end]
        }
        return nil
    }

    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }
}
