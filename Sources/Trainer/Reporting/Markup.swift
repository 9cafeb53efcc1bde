/// A piece of a page.
///
/// What is put into it by interpolation is text, whatever it holds, unless it is a piece itself.
struct Markup: ExpressibleByStringInterpolation, Sendable {
    /// As it stands in the page.
    let text: String

    init(stringLiteral text: String) { self.text = text }

    init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

    private init(_ text: String) { self.text = text }

    /// Literals are taken as they are; everything else is escaped.
    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

        mutating func appendLiteral(_ literal: String) { text += literal }

        mutating func appendInterpolation(_ value: String) { text += Markup.escaped(value) }

        mutating func appendInterpolation(_ value: Int) { text += String(value) }

        mutating func appendInterpolation(_ piece: Markup) { text += piece.text }

        mutating func appendInterpolation(_ pieces: [Markup]) { text += Markup.joined(pieces).text }
    }

    /// Pieces, a line each.
    static func joined(_ pieces: [Markup]) -> Markup {
        Markup(pieces.map(\.text).joined(separator: "\n"))
    }

    /// A number in one digit behind the point, as places in a picture are given.
    static func place(_ value: Double) -> Markup {
        Markup(String((value * 10).rounded() / 10))
    }

    /// A text as it stands between tags or in an attribute; characters that no document may have are replaced.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\t", "\n": result.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension Markup {
    /// A text that a file holds: its direction is its own.
    static func name(_ text: String) -> Markup { "<bdi>\(text)</bdi>" }
}
