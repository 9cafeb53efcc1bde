/// What bytes that are not UTF-8 are likely to be, by the pairs of bytes that each encoding uses most.
struct TextEncoding: Sendable, Equatable {
    /// As iconv calls it.
    let name: String
    /// As people know it.
    let description: String

    private init(_ name: String, _ description: String? = nil) {
        self.name = name
        self.description = description ?? name
    }

    /// The encoding of a file of units of two or four bytes, by its byte order mark or its zeros; nil for any other.
    init?(ofWideUnits bytes: ArraySlice<UInt8>) {
        if bytes.starts(with: [0xFF, 0xFE, 0, 0]) || bytes.starts(with: [0, 0, 0xFE, 0xFF]) {
            self.init("UTF-32")
            return
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            self.init("UTF-16")
            return
        }
        // Without a mark: enough units are below U+0100, and the other half is never zero. What is UTF-8 as well is
        // ASCII then, in which every unit is; a single zero is a stray one.
        let isASCII = firstInvalid(Array(bytes)) > bytes.count - 4
        func isWide(_ zeros: Int, of units: Int) -> Bool {
            zeros * (isASCII ? 4 : 36) >= units * 3 && units > 1
        }
        var zeros = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() where byte == 0 { zeros[index % 4] += 1 }
        let units = bytes.count / 4
        if units > 0, zeros[0] == 0, zeros[2] + zeros[3] == units * 2 {
            self.init("UTF-32LE")
        } else if units > 0, zeros[3] == 0, zeros[0] + zeros[1] == units * 2 {
            self.init("UTF-32BE")
        } else if zeros[0] + zeros[2] == 0, isWide(zeros[1] + zeros[3], of: bytes.count / 2) {
            self.init("UTF-16LE")
        } else if zeros[1] + zeros[3] == 0, isWide(zeros[0] + zeros[2], of: bytes.count / 2) {
            self.init("UTF-16BE")
        } else {
            return nil
        }
    }

    /// The likely encoding of bytes; nil where nothing looks like it.
    init?(guessing bytes: ArraySlice<UInt8>) {
        var pairs = 0
        // Pairs that Korean's common syllables, Japanese's syllabaries and Chinese's characters have, and whose second
        // byte is ASCII.
        var (korean, shifted, kana, big) = (0, 0, 0, 0)
        var (low, alone) = (0, 0)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let lead = bytes[index]
            index += 1
            if lead < 0x80 { continue }
            guard index < bytes.endIndex, (0x81...0xFE).contains(lead), (0x40...0xFE).contains(bytes[index]),
                bytes[index] != 0x7F, bytes[index] != 0x80
            else {
                alone += 1
                continue
            }
            let trail = bytes[index]
            index += 1
            pairs += 1
            if (0xB0...0xC8).contains(lead), trail >= 0xA1 { korean += 1 }
            if lead == 0x82 && trail >= 0x9F || lead == 0x83 && trail <= 0x96 { shifted += 1 }
            if lead == 0xA4 || lead == 0xA5, trail >= 0xA1 { kana += 1 }
            if (0xA4...0xC9).contains(lead) { big += 1 }
            if trail < 0x80 { low += 1 }
        }
        switch true {
        case pairs + alone == 0: return nil
        // A single byte among letters of ASCII makes a pair with the letter behind it, or none.
        case alone * 4 > pairs, low * 4 > pairs * 3: self.init("WINDOWS-1252", "Windows-1252 (Latin-1)")
        case korean * 10 >= pairs * 7: self.init("CP949", "CP949 (EUC-KR)")
        case shifted * 10 >= pairs * 3: self.init("SHIFT_JIS", "Shift JIS")
        case kana * 10 >= pairs * 3: self.init("EUC-JP")
        case big * 10 >= pairs * 8 && low * 10 >= pairs * 2: self.init("BIG5", "Big5")
        case low * 4 <= pairs: self.init("GB18030", "GB18030 (GBK)")
        default: return nil
        }
    }
}
