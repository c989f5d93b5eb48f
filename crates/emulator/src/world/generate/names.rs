//! Words that generated companies are made of.

pub(super) const GIVEN: [&str; 72] = [
    "Ana", "Bram", "Chidi", "Dilara", "Emeka", "Fatima", "Giulia", "Hiroshi", "Ines", "Jakub", "Karin", "Léa", "Mateo",
    "Noor", "Olena", "Priya", "Quentin", "Rosa", "Søren", "Thandiwe", "Ulrike", "Viktor", "Wanjiru", "Xavier", "Yuki",
    "Zeynep", "Aoife", "Björn", "Carmen", "Deepak", "Elif", "Felix", "Grace", "Hanna", "Ibrahim", "Jürgen", "Kofi",
    "Lucía", "Magnus", "Nadia", "Oscar", "Paolo", "Ravi", "Sofia", "Tomasz", "Uma", "Valentina", "William", "Ximena",
    "Yara", "Zoltán", "Amélie", "Benedikt", "Camila", "Daan", "Esther", "François", "Greta", "Hamza", "Isla", "Jonas",
    "Kateřina", "Liam", "Mia", "Nikos", "Owen", "Petra", "Ruth", "Samir", "Tuuli", "Veronika", "Željko",
];

pub(super) const SURNAMES: [&str; 88] = [
    "Abara", "Adebayo", "Álvarez", "Andersen", "Bakker", "Balogun", "Bauer", "Beaumont", "Bianchi", "Brandt", "Brown",
    "Çelik", "Chen", "Costa", "Cruz", "Da Silva", "De Vries", "Demir", "Diaz", "Dubois", "Ekström", "Eriksen", "Evans",
    "Fernández", "Fischer", "Fontaine", "Gallagher", "García", "Gashi", "Goldberg", "Gonçalves", "Greene", "Haddad",
    "Hansen", "Hashimoto", "Hoffmann", "Horvat", "Huang", "Iliescu", "Ivanova", "Jansen", "Jensen", "Johnson", "Jovanović",
    "Kamau", "Kaya", "Khan", "Kim", "Kovács", "Kowalski", "Kumar", "Larsson", "Laurent", "Lindqvist", "López", "Martin",
    "Mbeki", "Meyer", "Müller", "Murphy", "Nakamura", "Nguyen", "Novák", "O'Brien", "Okafor", "Olsen", "Özdemir", "Papadopoulos",
    "Patel", "Petrov", "Popescu", "Ramírez", "Rossi", "Sato", "Schmidt", "Schröder", "Sharma", "Singh", "Smith", "Sørensen",
    "Suzuki", "Tanaka", "Tremblay", "Van den Berg", "Virtanen", "Weiß", "Wójcik", "Yılmaz",
];

pub(super) const DEPARTMENTS: [(&str, [&str; 3]); 10] = [
    ("Engineering", ["Software Engineer", "Site Reliability Engineer", "Engineering Manager"]),
    ("Product", ["Product Manager", "Product Designer", "User Researcher"]),
    ("Customer Support", ["Support Engineer", "Support Specialist", "Support Lead"]),
    ("Sales", ["Account Executive", "Sales Engineer", "Sales Director"]),
    ("Marketing", ["Content Editor", "Brand Designer", "Campaign Manager"]),
    ("Finance", ["Accountant", "Controller", "Financial Analyst"]),
    ("People", ["Recruiter", "People Partner", "Payroll Specialist"]),
    ("Operations", ["Operations Manager", "Buyer", "Facilities Coordinator"]),
    ("Legal", ["Counsel", "Paralegal", "Privacy Officer"]),
    ("IT", ["Systems Administrator", "Service Desk Analyst", "Security Engineer"]),
];

pub(super) const CITIES: [(&str, &str); 20] = [
    ("Berlin", "DE"), ("Lisbon", "PT"), ("Nairobi", "KE"), ("Toronto", "CA"), ("Osaka", "JP"), ("Utrecht", "NL"),
    ("Lyon", "FR"), ("Kraków", "PL"), ("Austin", "US"), ("Lagos", "NG"), ("Pune", "IN"), ("Oslo", "NO"), ("Madrid", "ES"),
    ("Izmir", "TR"), ("Dublin", "IE"), ("Milan", "IT"), ("Zagreb", "HR"), ("Bogotá", "CO"), ("Sydney", "AU"), ("Graz", "AT"),
];

pub(super) const PURPOSES: [&str; 5] = ["Jira", "Confluence", "Project", "Team", "Access"];

/// The local part of an address: lower-case Latin letters, digits and dots.
pub(super) fn local_part(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let plain: &str = match c {
            'á' | 'Á' | 'à' | 'â' | 'ã' => "a",
            'ä' | 'Ä' => "ae",
            'é' | 'è' | 'ê' => "e",
            'í' | 'ı' => "i",
            'ó' | 'ô' | 'ø' | 'Ø' => "o",
            'ö' | 'Ö' => "oe",
            'ü' | 'Ü' => "ue",
            'ç' | 'Ç' | 'ć' | 'č' => "c",
            'ř' => "r",
            'ß' => "ss",
            'ž' | 'Ž' => "z",
            'ñ' => "n",
            ' ' | '.' => ".",
            c if c.is_ascii_alphanumeric() => {
                out.push(c.to_ascii_lowercase());
                continue;
            }
            _ => "",
        };
        out.push_str(plain);
    }
    out
}
