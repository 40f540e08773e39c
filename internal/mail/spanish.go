package mail

import (
	"fmt"

	"countersign/workflow"
)

var spanish = language{
	Language: "es",
	Letter:   "Carta de autorización",
	order:    "Orden ",
	more:     "y %s más",
	utc:      "(UTC)",
	notMe:    "no es la persona indicada",
	Instead:  "Si el botón no funciona, abra este enlace:",
	kinds: map[workflow.MailKind]func(view) said{
		workflow.MailSignature: spanishSignature,
		workflow.MailReminder:  spanishReminder,
		workflow.MailSent:      spanishSent,
		workflow.MailSigned:    spanishSigned,
		workflow.MailCanceled:  spanishCanceled,
		workflow.MailFailed:    spanishFailed,
	},
}

// spanishAbout ends a subject: the letter, and the numbers that it is for.
func spanishAbout(v view) string {
	s := "carta de autorización"
	switch len(v.Numbers) {
	case 0:
		return s
	case 1:
		return s + " para " + v.Numbers[0]
	default:
		return fmt.Sprintf("%s para %s números de teléfono", s, v.Total)
	}
}

// spanishNumbers is what a sentence calls the numbers that are listed below it,
// behind "de".
func spanishNumbers(v view) string {
	return pick(len(v.Numbers), "de números de teléfono", "del número de teléfono que figura abajo", "de los números de teléfono que figuran abajo")
}

func spanishList(v view) []fact { return v.list("Número de teléfono", "Números de teléfono") }

func spanishSignature(v view) said {
	s := spanishRequest(v)
	s.Subject = "Por favor, firme: " + spanishAbout(v)
	s.Preheader = "Revise y firme a más tardar el " + v.Expires + ". El servicio de voz no cambia; esto no es una portabilidad."
	s.Badge, s.Tone = "Firma solicitada", "blue"
	s.Heading = "Se necesita su firma"
	s.Body = []paragraph{
		{Text: v.Sender + " le pide que firme una carta de autorización para poder alojar los mensajes " + spanishNumbers(v) + "."},
		spanishVoice,
	}
	return s
}

func spanishReminder(v view) said {
	s := spanishRequest(v)
	s.Subject = "Recordatorio, por favor, firme: " + spanishAbout(v)
	s.Preheader = "Aún no se ha firmado. El enlace funciona hasta el " + v.Expires + "."
	s.Badge, s.Tone = "Recordatorio", "amber"
	s.Heading = "Seguimos a la espera de su firma"
	s.Body = []paragraph{
		{Text: v.Sender + " le pidió que firmara una carta de autorización para poder alojar los mensajes " + spanishNumbers(v) + ". Aún no se ha firmado."},
		spanishVoice,
	}
	return s
}

var spanishVoice = paragraph{"El servicio de voz no cambia.", "Esto no es una portabilidad: los números no pasan a otro operador."}

// spanishRequest is what the mails that ask for a signature have in common.
func spanishRequest(v view) said {
	return said{
		Facts:  append(spanishList(v), is("Debe firmar", v.Role), is("Firmar a más tardar el", v.Expires)),
		Button: "Revisar y firmar",
		Notes: []paragraph{
			{Text: "Verá la carta completa antes de firmar, y en la misma página puede rechazarla."},
			{"El enlace es solo suyo.", "Quien lo abra puede firmar en su nombre, así que no reenvíe este correo."},
			{"¿No es para usted?", "Si no responde de estos números, rechace la carta en esa página o ignore este correo. Sin firma no se autoriza nada."},
		},
	}
}

func spanishSent(v view) said {
	return said{
		Subject:   "Enviada para firmar: " + spanishAbout(v),
		Preheader: "Enviada a quien debe firmar el " + v.Date + ". No tiene que hacer nada.",
		Badge:     "Pendiente de firma", Tone: "blue",
		Heading: "Enviada para firmar",
		Body: []paragraph{
			{Text: "El " + v.Date + " se envió una carta de autorización a quien debe firmarla. Permite alojar los mensajes " + spanishNumbers(v) + ". El servicio de voz no cambia; esto no es una portabilidad."},
			{"No tiene que hacer nada.", "Recibe esta copia para su información, y le avisaremos cuando la carta esté firmada."},
		},
		Facts: append(spanishList(v), is("Debe firmar", v.Role), v.day("Enviada el", v.Date)),
	}
}

func spanishSigned(v view) said {
	signed, keep := "La carta de autorización se firmó el "+v.Date+".", "Conserve este correo con sus documentos."
	if v.Mine {
		signed = "Gracias. Usted firmó la carta de autorización el " + v.Date + "."
	}
	if v.Attached {
		keep = "La carta firmada va adjunta; consérvela con sus documentos."
	}
	if v.Link != "" {
		keep = "Puede descargar la carta firmada hasta el " + v.Expires + "; consérvela con sus documentos."
	}
	return said{
		Button:    "Descargar la carta firmada",
		Subject:   "Firmada: " + spanishAbout(v),
		Preheader: "Firmada el " + v.Date + ". No tiene que hacer nada más.",
		Badge:     "Firmada", Tone: "green",
		Heading: "La carta está firmada",
		Body: []paragraph{
			{Text: signed + " Ha comenzado el registro " + spanishNumbers(v) + " para poder alojar sus mensajes. El servicio de voz no cambia."},
			{"No tiene que hacer nada más.", keep},
		},
		Facts: append(append(spanishList(v), is("Firmada por", v.Role), v.day("Firmada el", v.Date)), v.digest("Huella digital de la carta")...),
	}
}

func spanishCanceled(v view) said {
	s := said{
		Subject:   "Cancelada: " + spanishAbout(v),
		Preheader: "Cancelada el " + v.Date + ". No tiene que hacer nada.",
		Badge:     "Cancelada", Tone: "grey",
		Heading: "La carta fue cancelada",
	}
	how := "La carta de autorización fue cancelada el " + v.Date + "."
	if v.Declined {
		s.Subject, s.Badge, s.Tone = "Rechazada: "+spanishAbout(v), "Rechazada", "red"
		s.Preheader = "Rechazada el " + v.Date + ". No tiene que hacer nada."
		s.Heading = "La carta fue rechazada"
		how = "Quien debía firmar la carta de autorización la rechazó el " + v.Date + "."
	}
	return spanishEnded(v, s, how)
}

func spanishFailed(v view) said {
	s := said{
		Subject:   "Sin firmar: " + spanishAbout(v),
		Preheader: "Terminó el " + v.Date + ". No tiene que hacer nada.",
		Badge:     "Sin firmar", Tone: "red",
		Heading: "La carta quedó sin firmar",
	}
	how := "La carta de autorización no se pudo firmar, y terminó el " + v.Date + "."
	if v.Expired {
		s.Subject, s.Badge, s.Tone = "Caducada: "+spanishAbout(v), "Caducada", "amber"
		s.Preheader = "Caducada el " + v.Date + ". No tiene que hacer nada."
		s.Heading = "La carta está caducada"
		how = "La carta de autorización no se firmó a tiempo, y caducó el " + v.Date + "."
	}
	return spanishEnded(v, s, how)
}

// spanishEnded is what the mails about a letter that ended unsigned have in common.
func spanishEnded(v view, s said, how string) said {
	s.Body = []paragraph{
		{Text: how + " Ya no se puede firmar, y con ella no se alojarán los mensajes " + spanishNumbers(v) + ". El servicio de voz no cambia."},
		{"No tiene que hacer nada.", "Recibe esta copia para su información."},
	}
	s.Facts = append(spanishList(v), is("Debía firmar", v.Role), v.day("Terminó el", v.Date))
	if v.Reason != "" {
		s.Facts = append(s.Facts, is("Motivo", v.Reason))
	}
	if v.Person != "" {
		s.Facts = append(s.Facts, is("Persona indicada, según dice", v.Person))
	}
	return s
}
